// The libraries that can change what is read or written, as they are compiled in.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace graft::io {

std::vector<std::pair<std::string, std::string>> library_versions();  // {"hdf5", "1.10.8"}, …

}  // namespace graft::io
