// Names of classes from a text file, and as a person reads them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace graft::tools {

// One name a line; blank lines at the end do not count. Throws Error: not UTF-8, a blank line inside, a name twice.
std::vector<std::string> read_class_names(const std::filesystem::path& file);

// Its name, or "class 3" where nobody named the classes.
std::string class_name(const std::vector<std::string>& classes, int64_t index);

}  // namespace graft::tools
