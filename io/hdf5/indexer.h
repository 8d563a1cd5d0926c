// Makes the index of an HDF5 file, with the HDF5 library. The library has open memory faults, so graft runs this on a
// foreign file inside the guarded helper only (guarded_index.h); in its own process only on files it trusts.
#pragma once
#include <cstdint>

#include "io/hdf5/index.h"

namespace graft::io {

// Throws Error, without the file's name, when the file is not HDF5, is damaged, or holds anything an index has no words
// for: soft and external links, objects with two names, named, compound or variable-length types, data outside the file
// or not in one piece, filters. Serialised within a process. The caller still has to apply check_index.
Index index_hdf5(int descriptor);

// A file's element type as HDF5 writes it, and back. f16 and bf16 are HDF5 floating-point types of that layout, which
// every HDF5 tool prints as numbers.
class H5Handle;
H5Handle hdf5_type_of(DType dtype);

}  // namespace graft::io
