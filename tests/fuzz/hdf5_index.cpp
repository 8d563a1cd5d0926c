// Fuzz target of the index of HDF5 files and of the helper's answer. What it finds in the HDF5 library itself is why
// the library runs in the guarded helper; what it finds in graft is a defect. (libhdf5.a is not instrumented: the
// sanitizers see its allocations and its calls of the C library.)
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -DH5_USE_110_API -I. -I/usr/include/hdf5/serial
//     tests/fuzz/hdf5_index.cpp io/hdf5/{fd_driver,indexer,index_encode,index_decode}.cpp io/xxh3.cpp core/error.cpp
//     cmake/fmt.cpp -L/usr/lib/x86_64-linux-gnu/hdf5/serial -l:libhdf5.a -lsz -lz -ldl -lm -lpthread
//     -o fuzz_hdf5 && ./fuzz_hdf5 tests/io/hdf5/hostile
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "core/error.h"
#include "io/hdf5/index.h"
#include "io/hdf5/indexer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace graft;
  static const int file = memfd_create("fuzz", MFD_CLOEXEC);
  if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
  try {
    const io::Index index = io::index_hdf5(file);
    io::decode_answer(io::encode_index(index), size, "fuzz");  // or the rules of an index refuse it
  } catch (const Error&) {
  }
  try {
    io::decode_answer({reinterpret_cast<const char*>(data), size}, 1 << 20, "fuzz");
  } catch (const Error&) {
  }
  return 0;
}
