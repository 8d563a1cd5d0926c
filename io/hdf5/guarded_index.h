// The index of a file nobody vouches for, made by the helper program graft-h5-index under limits of memory, time and
// system calls. Whatever the file does to the HDF5 library, this process only receives bytes, and checks them.
#pragma once
#include <chrono>
#include <filesystem>

#include "io/file.h"
#include "io/hdf5/index.h"

namespace graft::io {

// $GRAFT_H5_INDEX, or graft-h5-index beside the running program, in ../libexec/graft from there, or where it was built.
// Throws Error when there is none.
std::filesystem::path find_index_helper();

// Throws Error, beginning with the file's name, when the file is refused, or when the helper is missing, crashes, takes
// longer than `patience` or answers nonsense. Safe from several threads at once.
Index guarded_index(const File& file, std::chrono::milliseconds patience = std::chrono::seconds(30));

}  // namespace graft::io
