// Preprocessing against torchvision's Resize, CenterCrop, ToTensor, Normalize and RandomResizedCrop.
#include "io/image/preprocess.h"

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>

#include "core/error.h"
#include "tests/io/image/expected.h"
#include "tests/support/test_data.h"

namespace graft::test {
namespace {

using io::Interpolation;
using io::Preprocessing;

Interpolation method_of(const std::string& name) {
  return name == "bicubic" ? Interpolation::bicubic : Interpolation::bilinear;
}

// With this mean and std, a grey level comes out as itself (nearly: the nearest integer is it).
Preprocessing plain(int resize, int crop, Interpolation interpolation) {
  constexpr float k = 1.0f / 255.0f;
  return {resize, crop, {0, 0, 0}, {k, k, k}, interpolation};
}

io::Image as_image(const std::vector<float>& values, io::OutputSize size) {
  io::Image image{size.width, size.height, {}};
  for (const float value : values) image.rgb.push_back(static_cast<uint8_t>(std::lround(value)));
  return image;
}

io::Image preprocessed(const io::Image& image, const Preprocessing& p) {
  const auto size = io::output_size(image.width, image.height, p);
  std::vector<float> values(size_t{3} * size.width * size.height);
  io::preprocess(image, p, values.data());
  return as_image(values, size);
}

TEST_CASE("resize and centre crop are torchvision's") {
  const int lines = for_each_line("expected_preprocess.txt", [](std::istream& line) {
    std::string method;
    int width = 0, height = 0, resize = 0, crop = 0;
    Expected expected;
    REQUIRE((line >> method >> width >> height >> resize >> crop >> expected));
    INFO(method << ' ' << width << " x " << height << ", resize " << resize << ", crop " << crop);
    CHECK(Expected::of(preprocessed(noise_image(width, height), plain(resize, crop, method_of(method)))) == expected);
  });
  CHECK(lines > 100);
}

TEST_CASE("normalised grey levels are torchvision's floats") {
  const int lines = for_each_line("expected_normalize.txt", [](std::istream& line) {
    Preprocessing p{.resize = 0, .crop = 0};
    for (float& mean : p.mean) line >> mean;
    for (float& std : p.std) line >> std;
    io::Image grey{256, 1, {}};
    for (int v = 0; v < 256; ++v) grey.rgb.insert(grey.rgb.end(), 3, static_cast<uint8_t>(v));
    std::vector<float> out(3 * 256);
    io::preprocess(grey, p, out.data());
    line >> std::hex;
    for (size_t c = 0; c < 3; ++c)
      for (size_t v = 0; v < 256; v += 17) {
        uint32_t bits = 0;
        REQUIRE((line >> bits));
        const auto expected = std::bit_cast<float>(bits);
        CHECK(out[3 * v + c] == Approx(expected).epsilon(1e-6).margin(1e-7));
      }
  });
  CHECK(lines == 2);
}

TEST_CASE("EfficientNet-Lite0's (x - 127) / 128 as mean and std on 0..1") {
  const Preprocessing lite{.resize = 0,
                           .crop = 0,
                           .mean = {127.f / 255, 127.f / 255, 127.f / 255},
                           .std = {128.f / 255, 128.f / 255, 128.f / 255}};
  const io::Image image{2, 1, {0, 127, 255, 128, 64, 1}};
  float out[6];
  io::preprocess(image, lite, out);
  for (int i = 0; i < 6; ++i) CHECK(out[i] == Approx((image.rgb[static_cast<size_t>(i)] - 127) / 128.0).margin(1e-6));
}

TEST_CASE("photos at hand come out as torchvision has them") {
  if (need_data("photos/chelsea.png").empty()) return;
  int compared = 0;
  for_each_line("expected_photos.txt", [&](std::istream& line) {
    std::string file, method;
    Expected expected;
    REQUIRE((line >> file >> method >> expected));
    if (method == "decoded") return;
    INFO(file << ' ' << method);
    const auto out = Expected::of(preprocessed(io::read_image(test_data() / file), plain(256, 224, method_of(method))));
    if (file.ends_with(".png"))
      CHECK(out == expected);
    else
      CHECK(out.is_near(expected, 0.02));  // as decode.cpp says
    ++compared;
  });
  CHECK(compared == 6);
}

TEST_CASE("a drawn crop, resized and mirrored, is torchvision's") {
  int crops = 0, fallbacks = 0;
  for_each_line("expected_random_crop.txt", [&](std::istream& line) {
    std::string kind, method;
    int width = 0, height = 0;
    io::Draw draw;
    line >> kind;
    if (kind == "crop") line >> method;
    line >> width >> height >> draw.region.x >> draw.region.y >> draw.region.width >> draw.region.height;
    INFO(kind << ' ' << width << " x " << height);
    if (kind == "crop") {
      Expected expected;
      REQUIRE((line >> draw.flip >> expected));
      std::vector<float> out(3 * 24 * 24);
      io::preprocess_augmented(noise_image(width, height), plain(0, 24, method_of(method)), draw, out.data());
      CHECK(Expected::of(as_image(out, {24, 24})) == expected);
      ++crops;
    } else {  // the whole area never fits: the middle
      CHECK(io::draw_augmentation({1, 1, false}, width, height, 1, 2, 3).region == draw.region);
      ++fallbacks;
    }
  });
  CHECK(crops == 16);
  CHECK(fallbacks == 6);
}

TEST_CASE("drawn crops lie inside, cover the promised areas and ratios, and are mirrored half the time") {
  const int width = 500, height = 375, draws = 4000;
  double area = 0, left = 0, log_ratio = 0;
  int flips = 0;
  for (int i = 0; i < draws; ++i) {
    const auto draw = io::draw_augmentation({}, width, height, 7, static_cast<uint64_t>(i / 100), i % 100);
    const auto& r = draw.region;
    REQUIRE((r.x >= 0 && r.y >= 0 && r.width > 0 && r.height > 0));
    REQUIRE((r.x + r.width <= width && r.y + r.height <= height));
    const double share = 1.0 * r.width * r.height / (width * height), ratio = 1.0 * r.width / r.height;
    REQUIRE((share > 0.078 && share <= 1));
    REQUIRE((ratio > 0.74 && ratio < 1.35));
    area += share / draws;
    log_ratio += std::log(ratio) / draws;
    left += r.width == width ? 0.5 / draws : 1.0 * r.x / (width - r.width) / draws;
    flips += draw.flip;
  }
  // torchvision's own means over 10^6 draws at this size: area .4329, log ratio .0308; 4 standard errors here
  CHECK(area == Approx(0.4329).margin(0.014));
  CHECK(log_ratio == Approx(0.0308).margin(0.011));
  CHECK(left == Approx(0.5).margin(0.02));
  CHECK(flips == Approx(draws / 2).margin(130));
}

TEST_CASE("a draw depends on seed, epoch and sample, and on nothing else") {
  const auto draw = [](uint64_t seed, uint64_t epoch, uint64_t sample) {
    const auto r = io::draw_augmentation({}, 5000, 5000, seed, epoch, sample).region;
    return std::array{r.x, r.y, r.width, r.height};
  };
  std::map<std::array<int, 4>, int> seen;
  for (uint64_t seed : {0, 1})
    for (uint64_t epoch : {0, 1, 2})
      for (uint64_t sample : {0, 1, 2, 1000}) ++seen[draw(seed, epoch, sample)];
  CHECK(seen.size() == 24);
  CHECK(draw(5, 6, 7) == draw(5, 6, 7));
}

TEST_CASE("numbers that make no sense are errors") {
  CHECK_THROWS_AS(io::check_preprocessing({.resize = -1}), Error);
  CHECK_THROWS_AS(io::check_preprocessing({.crop = 1 << 20}), Error);
  CHECK_THROWS_AS(io::check_preprocessing({.std = {1, 0, 1}}), Error);
  CHECK_THROWS_AS(io::check_preprocessing({.mean = {NAN, 0, 1}}), Error);
  CHECK_THROWS_AS(io::output_size(1'000'000, 1, {.resize = 16'384, .crop = 0}), Error);
  CHECK_THROWS_AS(io::draw_augmentation({0, 1, true}, 4, 4, 0, 0, 0), Error);
  CHECK_THROWS_AS(io::draw_augmentation({0.5, 0.4f, true}, 4, 4, 0, 0, 0), Error);
  float out[3];
  CHECK_THROWS_AS(io::preprocess_augmented(noise_image(4, 4), {.resize = 0, .crop = 0}, {{0, 0, 4, 4}, false}, out),
                  Error);
}

}  // namespace
}  // namespace graft::test
