#include "io/image/image.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "core/error.h"
#include "io/file.h"
#include "io/image/codecs.h"
#include "io/image/orientation.h"
#include "io/text.h"

namespace graft::io {
namespace {

struct Signature {
  size_t offset;
  std::string_view bytes;
  const char* what;
};

using namespace std::string_view_literals;

constexpr Signature kSignatures[] = {
    {0, "GIF87a"sv, "a GIF image"},
    {0, "GIF89a"sv, "a GIF image"},
    {8, "WEBP"sv, "a WebP image"},
    {4, "ftypavif"sv, "an AVIF image"},
    {4, "ftypavis"sv, "an AVIF image"},
    {4, "ftyphei"sv, "a HEIC image"},
    {4, "ftyphev"sv, "a HEIC image"},
    {4, "ftypmif1"sv, "a HEIC or AVIF image"},
    {4, "ftypmsf1"sv, "a HEIC or AVIF image"},
    {4, "ftyp"sv, "a video"},
    {0, "II*\0"sv, "a TIFF or raw camera image"},
    {0, "MM\0*"sv, "a TIFF or raw camera image"},
    {0, "BM"sv, "a BMP image"},
    {0, "\xFF\x0A"sv, "a JPEG XL image"},
    {0, "\0\0\0\x0CJXL "sv, "a JPEG XL image"},
    {0, "\0\0\0\x0CjP  "sv, "a JPEG 2000 image"},
    {0, "8BPS"sv, "a Photoshop file"},
    {0, "\0\0\1\0"sv, "a Windows icon"},
    {0, "%PDF-"sv, "a PDF document"},
    {0, "PK\3\4"sv, "a zip archive"},
    {0, "\x1F\x8B"sv, "a gzip archive"},
    {0, "\x89HDF\r\n\x1A\n"sv, "an HDF5 file"},
    {0, "version https://git-lfs"sv, "a Git LFS pointer, not the file itself"},
};

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Error pages and drawings that were saved under a photo's name.
const char* markup(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  std::string start(text.substr(0, 16));
  std::transform(start.begin(), start.end(), start.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<head"))
    return "an HTML page";
  if (start.starts_with("<svg")) return "an SVG drawing";
  if (start.starts_with("<?xml")) return "an XML document";
  return nullptr;
}

}  // namespace

Sniffed sniff_format(std::span<const std::byte> bytes) {
  const std::string_view text = as_text(bytes);
  if (text.empty()) return {ImageFormat::other, "empty"};
  if (text.starts_with("\xFF\xD8\xFF"sv)) return {ImageFormat::jpeg, "a JPEG image"};
  if (text.starts_with("\x89PNG\r\n\x1A\n"sv)) return {ImageFormat::png, "a PNG image"};
  for (const Signature& s : kSignatures)
    if (text.size() >= s.offset && text.substr(s.offset).starts_with(s.bytes)) return {ImageFormat::other, s.what};
  if (const char* what = markup(text)) return {ImageFormat::other, what};
  return {ImageFormat::other, "not an image graft knows"};
}

void check_image_size(int64_t width, int64_t height, const std::string& name, const DecodeLimits& limits) {
  GRAFT_CHECK(width > 0 && height > 0, "{}: the image claims {} x {} pixels: the file is damaged", name, width, height);
  GRAFT_CHECK(width <= limits.side && height <= limits.side && width * height <= limits.pixels,
              "{}: the image claims {} x {} pixels; at most {} pixels, {} a side, are read: make it smaller", name,
              width, height, limits.pixels, limits.side);
}

void fail_truncated(const std::string& name) {
  fail("{}: the image file is truncated: get the whole file, or leave it out", name);
}

void fail_damaged(const std::string& name, const char* format, const char* reason) {
  fail("{}: the {} image cannot be decoded: {}", name, format, reason);
}

Image decode_image(std::span<const std::byte> bytes, const std::string& name, const DecodeLimits& limits) {
  const Sniffed sniffed = sniff_format(bytes);
  switch (sniffed.format) {
    case ImageFormat::jpeg:
      return upright(decode_jpeg(bytes, name, limits), jpeg_orientation(bytes));
    case ImageFormat::png:
      return upright(decode_png(bytes, name, limits), png_orientation(bytes));
    case ImageFormat::other:
      break;
  }
  fail("{}: the file is {}; graft reads JPEG and PNG: convert it, or leave it out", name, sniffed.what);
}

Image read_image(const std::filesystem::path& file, const DecodeLimits& limits) {
  const std::string name = printable(file);
  const File open = File::open(file);
  GRAFT_CHECK(open.size() <= limits.file_bytes, "{}: the file has {} bytes; photos of at most {} are read", name,
              open.size(), limits.file_bytes);
  std::vector<std::byte> bytes(static_cast<size_t>(open.size()));
  open.read_at(0, bytes);
  return decode_image(bytes, name, limits);
}

}  // namespace graft::io
