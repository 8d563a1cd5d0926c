// Names of kernels, and which of them ran.
#pragma once
#include <cstddef>
#include <string>

namespace graft::cuda_on_host {

std::string kernel_name(const void* kernel);  // demangled, from the symbol table of the program itself
void note_launch(const std::string& kernel, size_t blocks, size_t threads, size_t shared_bytes,
                 size_t static_shared_bytes);

}  // namespace graft::cuda_on_host
