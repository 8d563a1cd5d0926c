// Decoding against Pillow: make_expected.py writes the small files and what they should become.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

#include "core/error.h"
#include "io/image/orientation.h"
#include "tests/io/image/expected.h"
#include "tests/support/test_data.h"

namespace graft::test {
namespace {

int largest_difference(const io::Image& a, const io::Image& b) {
  int largest = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) largest = std::max(largest, std::abs(a.rgb[i] - b.rgb[i]));
  return largest;
}

// Photos as Pillow decodes them, bit for bit with the libjpeg-turbo versions 2.1 and 3.2; another may round a level
// differently here and there.
void compare_photos(const std::string& list) {
  int equal = 0;
  const int lines = for_each_line(list, [&](std::istream& line) {
    std::string file, what;
    Expected expected;
    line >> file >> what;
    if (what != "decoded") return;
    REQUIRE((line >> expected));
    for (size_t at; (at = file.find("%20")) != std::string::npos;) file.replace(at, 3, " ");
    const auto decoded = Expected::of(io::read_image(test_data() / file));
    INFO(file << ": " << decoded << "; expected " << expected);
    CHECK(decoded.is_near(expected, 0.02));
    equal += decoded == expected;
  });
  CHECK(lines > 0);
  std::printf("%s: %d pictures equal bit for bit\n", list.c_str(), equal);
}

TEST_CASE("every kind of PNG has Pillow's pixels") {
  const int lines = for_each_line("expected_png.txt", [](std::istream& line) {
    std::string file;
    Expected expected;
    REQUIRE((line >> file >> expected));
    INFO(file);
    CHECK(Expected::of(io::read_image(image_data(file))) == expected);
  });
  CHECK(lines >= 38);
}

TEST_CASE("every kind of JPEG has Pillow's pixels, to one level") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(image_data(""))) {
    if (entry.path().extension() != ".jpg") continue;
    INFO(entry.path().filename());
    const auto decoded = io::read_image(entry.path()), expected = io::read_image(entry.path().string() + ".png");
    REQUIRE(decoded.width == expected.width);
    REQUIRE(decoded.height == expected.height);
    CHECK(largest_difference(decoded, expected) <= 1);
    ++files;
  }
  CHECK(files == 21);
}

TEST_CASE("the eight orientations are the eight ways to hold a picture") {
  // 1 2 3        The value says which of its sides the stored first row and first column are (Exif 2.32, §4.6.4).
  // 4 5 6
  const auto letters = [](std::string text, int width, int height) {
    io::Image image{width, height, {}};
    for (char letter : text) image.rgb.insert(image.rgb.end(), 3, static_cast<uint8_t>(letter));
    return image;
  };
  const char* upright[] = {"", "123456", "321654", "654321", "456123", "142536", "415263", "635241", "362514"};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    INFO(orientation);
    const bool swapped = orientation >= 5;
    const auto expected = letters(upright[orientation], swapped ? 2 : 3, swapped ? 3 : 2);
    const auto turned = io::upright(letters("123456", 3, 2), orientation);
    CHECK(turned.width == expected.width);
    CHECK(turned.rgb == expected.rgb);
  }
}

TEST_CASE("the photos at hand have Pillow's pixels") {
  if (need_data("photos/chelsea.png").empty()) return;
  compare_photos("expected_photos.txt");
}

TEST_CASE("all of hymenoptera has Pillow's pixels", "[.full]") {
  if (need_data("hymenoptera/train").empty()) return;
  compare_photos("expected_hymenoptera.txt");
}

}  // namespace
}  // namespace graft::test
