// Fuzz target of the image readers. With clang:
//   clang++ -std=c++20 -g -fsanitize=fuzzer,address,undefined -I. tests/fuzz/image.cpp <sources of io/image,
//   core/error>
// Corpus: tests/io/image/data.
#include "io/image/image.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/error.h"
#include "io/image/orientation.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  for (const int orientation :
       {graft::io::exif_orientation(bytes), graft::io::jpeg_orientation(bytes), graft::io::png_orientation(bytes)})
    if (orientation < 1 || orientation > 8) std::abort();
  try {
    // Limits that bound an input's time: a million pixels, and four million visits by scans.
    const auto image = graft::io::decode_image(bytes, "fuzz", {.pixels = 1 << 20, .scan_pixels = 1 << 22});
    if (image.rgb.size() != size_t{3} * image.width * image.height || image.rgb.empty()) std::abort();
  } catch (const graft::Error&) {  // what it should throw; anything else ends the program
  }
  return 0;
}
