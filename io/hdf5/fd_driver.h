// An HDF5 file driver on a file descriptor. Two reasons to have our own:
//   - reading: HDF5 opens nothing by name, so external links and files cannot lead anywhere, and a process that may no
//     longer open files can still read the one it was given;
//   - writing: a failed write is remembered with its errno and hidden from HDF5, which then closes cleanly (after a
//     failed flush it cannot close a file at all); whoever writes must look at `write_errno` at the end.
#pragma once
#include "io/hdf5/handle.h"

namespace graft::io {

struct FdDriverState {
  int fd = -1;
  bool opened = false;  // one file, once
  int write_errno = 0;  // of the first write that failed; later writes are dropped
};

// File access properties that use this driver. `state` and its descriptor outlive the file.
H5Handle fd_access_properties(FdDriverState& state);

// Writes all of `data`, or notes the errno in the state.
void write_at(FdDriverState& state, uint64_t offset, const void* data, size_t bytes);

// The name HDF5 must be given: absolute, so that HDF5 does not ask for the working folder.
inline constexpr const char* kFdDriverName = "/graft";

}  // namespace graft::io
