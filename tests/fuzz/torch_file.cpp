// Fuzz target of the PyTorch reader: any bytes are a file that opens or an Error. Without libFuzzer, the mutation test
// of tests/io/torch drives it.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/torch_file.cpp io/file.cpp
//     io/torch/*.cpp core/error.cpp cmake/fmt.cpp -lz -o fuzz_torch && ./fuzz_torch tests/io/torch/files
#include "io/torch/torch_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int descriptor = ::memfd_create("fuzz", MFD_CLOEXEC);
  if (descriptor < 0 || ::write(descriptor, data, size) != static_cast<ssize_t>(size)) std::abort();
  try {
    const auto file = graft::io::open_torch_file("/proc/self/fd/" + std::to_string(descriptor));
    constexpr int64_t kAtOnce = 4096;
    for (size_t i = 0; i < file->tensors().size(); ++i) {
      const int64_t numel = file->tensors()[i].numel(), count = std::min(numel, kAtOnce);
      std::vector<float> out(static_cast<size_t>(count));
      file->read(i, 0, count, out.data());
      file->read(i, numel - count, count, out.data());
    }
  } catch (const graft::Error&) {
  }
  ::close(descriptor);
  return 0;
}
