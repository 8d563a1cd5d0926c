// Fuzz target of the reader of .npy files: any bytes are an array that reads from end to end, or an Error. Without
// libFuzzer, tests/io/npy.cpp drives it.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/npy.cpp io/{npy,file,staged_file}.cpp
//     core/error.cpp cmake/fmt.cpp -o fuzz_npy && ./fuzz_npy
#include "io/npy.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/error.h"

namespace {

template <typename T>
void read_ends(const graft::io::NpyFile& file) {
  const int64_t count = std::min<int64_t>(file.numel(), 4096);
  std::vector<T> out(static_cast<size_t>(count));
  file.read(0, std::span(out));
  file.read(file.numel() - count, std::span(out));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using graft::DType;
  const int descriptor = ::memfd_create("fuzz", MFD_CLOEXEC);
  if (descriptor < 0 || ::write(descriptor, data, size) != static_cast<ssize_t>(size)) std::abort();
  try {
    const graft::io::NpyFile file("/proc/self/fd/" + std::to_string(descriptor));
    int64_t numel = 1;
    for (const int64_t extent : file.shape()) numel *= extent;
    if (numel != file.numel()) std::abort();
    if (file.dtype() == DType::f32) read_ends<float>(file);
    if (file.dtype() == DType::f64) read_ends<double>(file);
    if (file.dtype() == DType::i64) read_ends<int64_t>(file);
    if (file.dtype() == DType::u8) read_ends<uint8_t>(file);
  } catch (const graft::Error&) {
  }
  ::close(descriptor);
  return 0;
}
