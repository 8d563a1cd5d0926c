// Files that lie. Whatever the bytes, decoding returns a picture or throws Error; it never crashes, hangs or takes
// memory that a claim, and not a picture, asked for.
#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <optional>

#include "core/error.h"
#include "io/image/orientation.h"
#include "tests/io/image/expected.h"
#include "tests/support/test_data.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);  // tests/fuzz/image.cpp

namespace graft::test {
namespace {

using Bytes = std::vector<std::byte>;

Bytes to_bytes(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}
Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::optional<io::Image> decoded(const Bytes& bytes) {
  try {
    return io::decode_image(bytes, "photo", {.pixels = 1 << 20});
  } catch (const Error&) {
    return std::nullopt;
  }
}
std::string message(const Bytes& bytes) {
  try {
    io::decode_image(bytes, "photo");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

uint32_t crc32_of(const Bytes& bytes) { return crc32({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}); }
Bytes big_endian(uint32_t value) {
  Bytes bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::byte>(value >> shift & 255));
  return bytes;
}
Bytes chunk(const std::string& type, const Bytes& data) {
  const Bytes body = to_bytes(type) + data;
  return big_endian(static_cast<uint32_t>(data.size())) + body + big_endian(crc32_of(body));
}
Bytes png_header(uint32_t width, uint32_t height) {
  return to_bytes("\x89PNG\r\n\x1a\n") +
         chunk("IHDR", big_endian(width) + big_endian(height) + to_bytes(std::string("\x08\x02\0\0\0", 5)));
}
Bytes insert_after_header(const Bytes& png, const Bytes& inserted) {
  const auto at = png.begin() + 8 + 25;
  return Bytes(png.begin(), at) + inserted + Bytes(at, png.end());
}

TEST_CASE("a file that is no JPEG or PNG is named for what it is") {
  using namespace std::string_literals;
  const std::pair<std::string, std::string> files[] = {
      {"GIF89a\1\0\1\0", "GIF"},
      {"RIFF\x10\0\0\0WEBPVP8 "s, "WebP"},
      {"BM\x46\0\0\0"s, "BMP"},
      {"\0\0\0\x18"
       "ftypheic"s,
       "HEIC"},
      {"\0\0\0\x18"
       "ftypavif"s,
       "AVIF"},
      {"II*\0\x08\0\0\0"s, "TIFF"},
      {"\n  <!DOCTYPE HTML><html>404", "HTML"},
      {"<html>404", "HTML"},
      {"%PDF-1.7", "PDF"},
      {"", "empty"},
      {"hello", "not an image graft knows"},
      {"\xFF\xD8", "not an image graft knows"},
      {"version https://git-lfs.github.com/spec/v1", "Git LFS"},
  };
  for (const auto& [bytes, name] : files) {
    const std::string text = message(to_bytes(bytes));
    INFO(text);
    CHECK(text.starts_with("photo: "));
    CHECK(text.find(name) != std::string::npos);
    CHECK(text.find("JPEG and PNG") != std::string::npos);
  }
}

TEST_CASE("a missing file, a folder and too large a file are errors with the name") {
  const auto what = [](const std::filesystem::path& path, const io::DecodeLimits& limits) -> std::string {
    try {
      io::read_image(path, limits);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  CHECK(what("/nowhere/cat.jpg", {}).find("/nowhere/cat.jpg") != std::string::npos);
  CHECK(what(image_data(""), {}).find("data") != std::string::npos);
  CHECK(what(image_data("420.jpg"), {.file_bytes = 100}).find("420.jpg") != std::string::npos);
}

TEST_CASE("100,000 x 100,000 pixels are refused before memory is taken") {
  CHECK(message(png_header(100'000, 100'000) + chunk("IDAT", {})).find("100000 x 100000") != std::string::npos);
  CHECK(message(png_header(0x7FFFFFFF, 0x7FFFFFFF)).find("2147483647") != std::string::npos);
  CHECK(message(png_header(0xFFFFFFFF, 1)).find("4294967295") != std::string::npos);
  CHECK(message(png_header(0, 5)).find("0 x 5") != std::string::npos);

  Bytes jpeg = file_bytes(image_data("420.jpg"));
  size_t frame = 0;
  while (jpeg[frame] != std::byte{0xFF} || jpeg[frame + 1] != std::byte{0xC0}) ++frame;
  for (size_t i = 5; i < 9; ++i) jpeg[frame + i] = i % 2 != 0 ? std::byte{0xFE} : std::byte{0};
  CHECK(message(jpeg).find("65024 x 65024") != std::string::npos);
  CHECK_THROWS_AS(io::decode_image(file_bytes(image_data("420.jpg")), "photo", {.pixels = 27 * 21 - 1}), Error);
  CHECK_NOTHROW(io::decode_image(file_bytes(image_data("420.jpg")), "photo", {.pixels = 27 * 21}));
}

TEST_CASE("a file cut at any byte is an error, or complete but for its end mark") {
  for (const char* name : {"rgb8.png", "palette4_alpha.png", "rgba16_interlaced.png", "420.jpg", "progressive.jpg",
                           "cmyk.jpg", "exif6.jpg"}) {
    const Bytes whole = file_bytes(image_data(name));
    const auto expected = io::decode_image(whole, name);
    size_t readable = 0;
    for (size_t size = 0; size < whole.size(); ++size) {
      const auto image = decoded(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
      if (!image) continue;
      INFO(name << " cut at " << size << " of " << whole.size());
      CHECK(image->rgb == expected.rgb);
      ++readable;
    }
    CHECK(readable <= 24);  // PNG: behind the last pixel, a checksum of four, one of the chunk, IEND with twelve
  }
  Bytes cut = file_bytes(image_data("noise.jpg"));
  cut.resize(cut.size() / 2);
  CHECK(message(cut) == "photo: the image file is truncated: get the whole file, or leave it out");
}

TEST_CASE("a flipped bit gives a picture or an error") {
  for (const char* name :
       {"palette4_alpha.png", "rgba16_interlaced.png", "gray1.png", "progressive.jpg", "exif6.jpg", "ycck.jpg"}) {
    Bytes bytes = file_bytes(image_data(name));
    int pictures = 0, errors = 0;
    for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      ++(decoded(bytes) ? pictures : errors);
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    INFO(name);
    CHECK(errors > 100);
    CHECK(decoded(bytes));
  }
}

TEST_CASE("a damaged pixel of a PNG is noticed") {
  const Bytes whole = file_bytes(image_data("rgb8.png"));
  const size_t data = 8 + 25 + 8;  // signature, IHDR, head of IDAT
  for (size_t at = data; at < whole.size() - 12; ++at) {
    Bytes bytes = whole;
    bytes[at] ^= std::byte{4};
    const auto image = decoded(bytes);
    INFO(at << " of " << whole.size());
    if (image) CHECK(image->rgb == io::decode_image(whole, "whole").rgb);  // behind the last pixel
  }
}

TEST_CASE("compressed text and profiles are skipped, not unpacked") {
  // 1 GiB of zeros behind a megabyte would take seconds and the memory; a stored chunk that claims it takes nothing.
  const Bytes png = file_bytes(image_data("rgb8.png"));
  const auto expected = io::decode_image(png, "png").rgb;
  for (const char* type : {"iCCP", "zTXt", "iTXt", "tEXt", "sPLT", "gAMA", "abCd"}) {
    const Bytes data = to_bytes(std::string("name\0\0\x78\x9c", 8)) + Bytes(1 << 20, std::byte{0x55});
    const auto image = decoded(insert_after_header(png, chunk(type, data)));
    INFO(type);
    REQUIRE(image);
    CHECK(image->rgb == expected);
  }
  CHECK_FALSE(decoded(insert_after_header(png, chunk("ABCD", {}))));  // critical, and unknown
  // A chunk that claims to be longer than the file.
  CHECK(message(insert_after_header(png, big_endian(0x7FFFFFF0) + to_bytes("zTXt"))).find("truncated") !=
        std::string::npos);
}

TEST_CASE("a progressive JPEG with a thousand scans is refused") {
  Bytes jpeg = file_bytes(image_data("progressive.jpg"));
  size_t scan = 0;
  while (jpeg[scan] != std::byte{0xFF} || jpeg[scan + 1] != std::byte{0xDA}) ++scan;
  size_t end = scan + 2;  // of the first scan: the next marker that is no stuffed byte
  while (jpeg[end] != std::byte{0xFF} || jpeg[end + 1] == std::byte{0}) ++end;
  const Bytes one(jpeg.begin() + static_cast<std::ptrdiff_t>(scan), jpeg.begin() + static_cast<std::ptrdiff_t>(end));
  Bytes bomb(jpeg.begin(), jpeg.begin() + static_cast<std::ptrdiff_t>(end));
  for (int i = 0; i < 1000; ++i) bomb = std::move(bomb) + one;
  bomb = std::move(bomb) + to_bytes("\xFF\xD9");
  const io::DecodeLimits strict{.scan_pixels = 27 * 21 * 500};
  CHECK_NOTHROW(io::decode_image(jpeg, "photo", strict));
  CHECK_NOTHROW(io::decode_image(bomb, "photo"));  // so few pixels do no harm
  CHECK_THROWS_WITH(io::decode_image(bomb, "photo", strict), Catch::Contains("scans"));
}

TEST_CASE("damaged EXIF means upright") {
  using namespace std::string_literals;
  const auto orientation = [](const std::string& tiff) { return io::exif_orientation(to_bytes(tiff)); };
  const std::string good = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"s;
  CHECK(orientation(good) == 6);
  CHECK(orientation("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x08\0\0\0"s) == 8);
  for (size_t size = 0; size < good.size(); ++size) CHECK(orientation(good.substr(0, size)) == 1);

  const auto with = [&](size_t at, char value) {
    std::string changed = good;
    changed[at] = value;
    return orientation(changed);
  };
  CHECK(with(4, '\x7F') == 1);   // the directory lies far outside …
  CHECK(with(7, '\0') == 1);     // … or on the header
  CHECK(with(7, '\x15') == 1);   // … or ends outside
  CHECK(with(8, '\xFF') == 6);   // it claims 65,281 entries
  CHECK(with(13, '\x02') == 1);  // text, not a number
  CHECK(with(17, '\x02') == 1);  // two values
  CHECK(with(19, '\x00') == 1);
  CHECK(with(19, '\x09') == 1);
}

TEST_CASE("mutated files, a few", "[fuzz]") {
  const Bytes seed = file_bytes(image_data("rgba8.png"));
  CHECK(LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(seed.data()), seed.size()) == 0);
}

// 40 rounds over all small files: some bytes changed, a piece removed, repeated or taken from another file.
TEST_CASE("mutated files, many", "[.full]") {
  std::vector<Bytes> files;
  for (const auto& entry : std::filesystem::directory_iterator(image_data("")))
    if (entry.path().extension() != ".txt") files.push_back(file_bytes(entry.path()));
  REQUIRE(files.size() > 60);
  std::sort(files.begin(), files.end());

  uint64_t state = 42;
  const auto below = [&](size_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>((state >> 33) % n);
  };
  for (int round = 0; round < 40; ++round)
    for (const Bytes& original : files) {
      Bytes bytes = original;
      for (size_t edits = 1 + below(4); edits > 0 && !bytes.empty(); --edits) {
        const auto at = static_cast<std::ptrdiff_t>(below(bytes.size()));
        const auto length = static_cast<std::ptrdiff_t>(below(std::min<size_t>(bytes.size() - at, 40) + 1));
        switch (below(4)) {
          case 0:
            bytes[at] = static_cast<std::byte>(below(256));
            break;
          case 1:
            bytes.erase(bytes.begin() + at, bytes.begin() + at + length);
            break;
          case 2: {
            const Bytes piece(bytes.begin() + at, bytes.begin() + at + length);
            bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size() + 1)), piece.begin(),
                         piece.end());
            break;
          }
          default: {
            const Bytes& other = files[below(files.size())];
            const size_t from = below(other.size()), count = std::min<size_t>(length, other.size() - from);
            std::copy_n(other.begin() + static_cast<std::ptrdiff_t>(from), std::min(count, bytes.size() - at),
                        bytes.begin() + at);
          }
        }
      }
      LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    }
  SUCCEED();
}

}  // namespace
}  // namespace graft::test
