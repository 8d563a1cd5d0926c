// Photos as pixels. JPEG and PNG are read; docs/images.md lists every intended difference from Pillow.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace graft::io {

// Rows from the top, pixels from the left, R G B interleaved: rgb[(y * width + x) * 3 + c], 0..255 as stored (sRGB).
struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;
};

// What a file may claim before memory is allocated for it.
struct DecodeLimits {
  int64_t pixels = 178'956'970;             // where Pillow refuses: twice 2^30 / 4 / 3
  int side = 1'000'000;                     // libpng's own
  int64_t scan_pixels = int64_t{1} << 32;   // scans of a progressive JPEG x pixels: time, not memory
  int64_t file_bytes = int64_t{512} << 20;  // read_image only
};

enum class ImageFormat { jpeg, png, other };

// What the first bytes (64 are plenty) say a file is, whatever its name.
struct Sniffed {
  ImageFormat format = ImageFormat::other;
  std::string what;  // "a JPEG image", "a GIF image", "an HTML page", "empty", "not an image graft knows"
};
Sniffed sniff_format(std::span<const std::byte> bytes);

// The picture upright (EXIF orientation applied), transparency blended over white. `name` stands in messages only.
// Throws Error: another format, damaged, truncated, larger than the limits. Safe from many threads.
Image decode_image(std::span<const std::byte> bytes, const std::string& name, const DecodeLimits& limits = {});
Image read_image(const std::filesystem::path& file, const DecodeLimits& limits = {});

}  // namespace graft::io
