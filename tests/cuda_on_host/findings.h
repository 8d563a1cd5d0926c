// What the checkers find: a line each, told at once and kept for the test.
#pragma once
#include <source_location>
#include <string>

namespace graft::cuda_on_host {

void add_finding(std::string text);
std::string describe(const std::source_location&);  // "softmax.cu:41"
std::string describe_code(const void* pc);          // the same from an address of code, where addr2line can tell

}  // namespace graft::cuda_on_host
