// Resizing against Pillow's Image.resize, bit for bit.
#include "io/image/resize.h"

#include <catch2/catch.hpp>
#include <limits>

#include "core/error.h"
#include "tests/io/image/expected.h"

namespace graft::test {
namespace {

using io::Interpolation;

TEST_CASE("resized pictures are Pillow's") {
  const int lines = for_each_line("expected_resize.txt", [](std::istream& line) {
    std::string method;
    int width = 0, height = 0;
    io::Box box;
    Expected expected;
    REQUIRE((line >> method >> width >> height >> box.left >> box.top >> box.right >> box.bottom >> expected));
    INFO(method << ' ' << width << " x " << height << ", box " << box.left << ' ' << box.top << ' ' << box.right << ' '
                << box.bottom << ", to " << expected);
    const auto image = noise_image(width, height);
    const auto interpolation = method == "bicubic" ? Interpolation::bicubic : Interpolation::bilinear;
    CHECK(Expected::of(io::resize(image, expected.width, expected.height, interpolation, box)) == expected);
  });
  CHECK(lines == 2 * (11 + 6) * 7);
}

TEST_CASE("a window shows the pixels that the whole result has there") {
  const auto image = noise_image(53, 41);
  for (const auto interpolation : {Interpolation::bilinear, Interpolation::bicubic})
    for (const auto& [width, height] : {std::pair{53, 41}, {53, 20}, {20, 41}, {17, 90}, {200, 13}}) {
      const auto whole = io::resize(image, width, height, interpolation);
      const io::Window windows[] = {
          {0, 0, 1, 1}, {3, 5, 9, 7}, {width - 2, height - 3, 2, 3}, {0, 2, width, 3}, {5, 0, 0, 4}};
      for (const auto& w : windows) {
        const auto part = io::resize(image, width, height, interpolation, w);
        const auto expected = io::resize(io::ImageView(whole).part(static_cast<int>(w.x), static_cast<int>(w.y),
                                                                   std::max(w.width, 1), std::max(w.height, 1)),
                                         std::max(w.width, 1), std::max(w.height, 1), interpolation);  // a copy
        REQUIRE(part.rgb.size() == size_t{3} * w.width * w.height);
        if (!part.rgb.empty()) CHECK(part.rgb == expected.rgb);
      }
    }
}

TEST_CASE("a window into a picture far larger than memory") {
  io::Image strip{1, 1'000'000, std::vector<uint8_t>(3'000'000, 77)};
  const auto middle = io::resize(strip, 16'384, int64_t{16'384} * 1'000'000, Interpolation::bicubic,
                                 io::Window{8'000, int64_t{16'384} * 500'000, 20, 10});
  CHECK(middle.rgb == std::vector<uint8_t>(600, 77));
}

TEST_CASE("sizes, boxes and windows that make no sense are errors") {
  const auto image = noise_image(4, 3);
  const auto method = Interpolation::bilinear;
  CHECK_THROWS_AS(io::resize(image, 0, 3, method), Error);
  CHECK_THROWS_AS(io::resize(io::Image{}, 3, 3, method), Error);
  CHECK_THROWS_AS(io::resize(image, 2, 2, method, io::Box{0, 0, 5, 3}), Error);
  CHECK_THROWS_AS(io::resize(image, 2, 2, method, io::Box{2, 0, 2, 3}), Error);
  CHECK_THROWS_AS(io::resize(image, 2, 2, method, io::Box{-1, 0, 2, 3}), Error);
  CHECK_THROWS_AS(io::resize(image, 2, 2, method, io::Box{std::numeric_limits<float>::quiet_NaN(), 0, 2, 3}), Error);
  CHECK_THROWS_AS(io::resize(image, 2, 2, method, io::Window{1, 0, 2, 2}), Error);
  CHECK_THROWS_AS(io::resize(image, 2, 2, method, io::Window{-1, 0, 1, 1}), Error);
}

}  // namespace
}  // namespace graft::test
