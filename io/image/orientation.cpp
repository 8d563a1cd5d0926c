#include "io/image/orientation.h"

#include <cstring>
#include <string_view>

namespace graft::io {
namespace {

using Bytes = std::span<const std::byte>;

// Unsigned integers at a place, in either byte order; the caller has checked the bounds.
uint32_t read_unsigned(Bytes bytes, size_t at, int count, bool little_endian) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i)
    value = value << 8 | std::to_integer<uint32_t>(bytes[at + static_cast<size_t>(little_endian ? count - 1 - i : i)]);
  return value;
}

bool starts_with(Bytes bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

}  // namespace

int exif_orientation(Bytes tiff) {
  using namespace std::string_view_literals;
  const bool little = starts_with(tiff, "II*\0"sv);
  if (tiff.size() < 8 || (!little && !starts_with(tiff, "MM\0*"sv))) return 1;

  const size_t directory = read_unsigned(tiff, 4, 4, little);
  if (directory > tiff.size() - 2) return 1;
  const size_t entries = read_unsigned(tiff, directory, 2, little), room = (tiff.size() - directory - 2) / 12;
  for (size_t i = 0; i < std::min(entries, room); ++i) {
    const size_t entry = directory + 2 + 12 * i;  // tag 2, type 2, count 4, value 4
    if (read_unsigned(tiff, entry, 2, little) != 0x0112) continue;
    const uint32_t type = read_unsigned(tiff, entry + 2, 2, little), count = read_unsigned(tiff, entry + 4, 4, little);
    constexpr uint32_t kShort = 3, kLong = 4;
    if (count != 1 || (type != kShort && type != kLong)) return 1;
    const uint32_t value = read_unsigned(tiff, entry + 8, type == kShort ? 2 : 4, little);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

// Segments FF marker length(2, itself included) data, up to the first scan.
int jpeg_orientation(Bytes file) {
  using namespace std::string_view_literals;
  constexpr uint32_t kApp1 = 0xE1, kStartOfScan = 0xDA, kEndOfImage = 0xD9;
  size_t at = 2;
  while (file.size() >= 4 && at <= file.size() - 4) {
    if (file[at] != std::byte{0xFF}) return 1;
    const uint32_t marker = read_unsigned(file, at + 1, 1, false);
    if (marker == 0xFF) {  // fill byte
      ++at;
      continue;
    }
    if (marker == kStartOfScan || marker == kEndOfImage) return 1;
    if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {  // these stand alone
      at += 2;
      continue;
    }
    const size_t length = read_unsigned(file, at + 2, 2, false);
    if (length < 2 || length > file.size() - at - 2) return 1;
    const Bytes data = file.subspan(at + 4, length - 2);
    if (marker == kApp1 && starts_with(data, "Exif\0\0"sv)) return exif_orientation(data.subspan(6));
    at += 2 + length;
  }
  return 1;
}

// Chunks length(4) type(4) data crc(4) behind the signature; eXIf may stand before or after the pixels.
int png_orientation(Bytes file) {
  size_t at = 8;
  while (file.size() >= 12 && at <= file.size() - 12) {
    const size_t length = read_unsigned(file, at, 4, false);
    if (length > file.size() - at - 12) return 1;
    if (starts_with(file.subspan(at + 4), "eXIf")) return exif_orientation(file.subspan(at + 8, length));
    at += 12 + length;
  }
  return 1;
}

Image upright(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const int width = image.width, height = image.height;
  const bool swapped = orientation >= 5;  // rows become columns
  Image out{swapped ? height : width, swapped ? width : height, std::vector<uint8_t>(image.rgb.size())};
  const bool mirror_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool mirror_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;

  // (x, y) in the upright picture comes from (from_x, from_y) in the stored one.
  uint8_t* to = out.rgb.data();
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x, to += 3) {
      const int along = swapped ? y : x, down = swapped ? x : y;
      const int from_x = mirror_x ? width - 1 - along : along, from_y = mirror_y ? height - 1 - down : down;
      std::memcpy(to, image.rgb.data() + (size_t{1} * from_y * width + from_x) * 3, 3);
    }
  return out;
}

}  // namespace graft::io
