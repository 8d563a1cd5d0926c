// The primitive that resizes photos where the network computes, against the loader's own resizing, which is Pillow's:
// equal to one grey level. (The loader rounds between the axes, the primitive does not.)
#include <catch2/catch.hpp>
#include <cmath>

#include "contract/resize_box.h"
#include "core/tensor.h"
#include "io/image/preprocess.h"
#include "tests/io/image/pixels.h"
#include "tests/support/devices.h"

namespace graft::test {
namespace {

using io::Interpolation;

ResizeFilter filter_of(Interpolation i) {
  return i == Interpolation::bicubic ? ResizeFilter::bicubic : ResizeFilter::bilinear;
}

// A window of height x width of what each photo's box says, normalised.
std::vector<float> resized(const std::shared_ptr<Device>& device, const std::vector<uint8_t>& pixels,
                           const std::vector<ResizeBox>& boxes, int height, int width, Interpolation interpolation,
                           const float (&mean)[3], const float (&std)[3]) {
  const auto n = static_cast<int64_t>(boxes.size());
  const Tensor from = from_values<uint8_t>(device, {static_cast<int64_t>(pixels.size())}, pixels);
  const Tensor fields = empty(device, {n, ResizeImagesArgs::kBoxFields}, DType::i64);
  fields.copy_from(boxes.data());
  const Tensor y = empty(device, {n, height, width, 3});
  ResizeImagesArgs args{.pixels = from, .boxes = fields, .y = y, .filter = filter_of(interpolation)};
  for (int c = 0; c < 3; ++c) args.mean[c] = mean[c], args.std[c] = std[c];
  device->run(args);
  return y.to_vector<float>();
}

struct Difference {
  int levels = 0;      // of the rounded result, at most
  double unequal = 0;  // share of elements
};
Difference between(const std::vector<uint8_t>& expected, const std::vector<float>& levels, size_t first) {
  Difference d;
  for (size_t i = 0; i < expected.size(); ++i) {
    const int off = std::abs(static_cast<int>(std::lround(levels[first + i])) - expected[i]);
    d.levels = std::max(d.levels, off);
    d.unequal += off != 0;
  }
  d.unequal /= static_cast<double>(expected.size());
  return d;
}

std::vector<uint8_t> mirrored(io::Image image) {
  std::vector<uint8_t> rgb;
  for (int y = 0; y < image.height; ++y)
    for (int x = image.width - 1; x >= 0; --x)
      rgb.insert(rgb.end(), &image.rgb[3 * (size_t{1} * y * image.width + x)],
                 &image.rgb[3 * (size_t{1} * y * image.width + x)] + 3);
  return rgb;
}

const auto kDevices = {reference_device, +[] { return cpu_device(); }};
constexpr float kZero[] = {0, 0, 0}, kLevel[] = {1.0f / 255, 1.0f / 255, 1.0f / 255};  // grey levels come out

TEST_CASE("photos resized on a device are the loader's to one grey level") {
  struct Case {
    int width, height;                        // of the photo
    int left, top, crop_width, crop_height;   // what of it
    int resized_width, resized_height, x, y;  // what that becomes, and where the window lies
    bool mirror;
  };
  constexpr int kWidth = 24, kHeight = 20;
  const Case cases[] = {
      {24, 20, 0, 0, 24, 20, 24, 20, 0, 0, false},      // as it is
      {120, 100, 0, 0, 120, 100, 24, 20, 0, 0, true},   // a fifth
      {53, 41, 0, 0, 53, 41, 24, 20, 0, 0, false},      // by odd scales
      {7, 5, 0, 0, 7, 5, 24, 20, 0, 0, true},           // larger
      {9, 200, 0, 0, 9, 200, 24, 20, 0, 0, false},      // wider, and a tenth as high
      {64, 48, 13, 7, 31, 40, 24, 20, 0, 0, true},      // a crop
      {64, 48, 63, 0, 1, 48, 24, 20, 0, 0, false},      // of one column
      {500, 375, 0, 0, 500, 375, 37, 28, 6, 4, false},  // the middle of what a photo becomes
      {300, 400, 10, 20, 256, 333, 31, 77, 7, 57, true},
  };
  for (const auto& make_device : kDevices)
    for (const auto interpolation : {Interpolation::bilinear, Interpolation::bicubic}) {
      const auto device = make_device();
      std::vector<uint8_t> pixels;
      std::vector<ResizeBox> boxes;
      for (const Case& c : cases) {
        boxes.push_back({static_cast<int64_t>(pixels.size()), c.width, c.height, c.left, c.top, c.crop_width,
                         c.crop_height, c.resized_width, c.resized_height, c.x, c.y, c.mirror});
        const io::Image photo = noise_image(c.width, c.height);
        pixels.insert(pixels.end(), photo.rgb.begin(), photo.rgb.end());
      }
      const auto levels = resized(device, pixels, boxes, kHeight, kWidth, interpolation, kZero, kLevel);
      size_t first = 0;
      for (const Case& c : cases) {
        const io::Image photo = noise_image(c.width, c.height);
        const io::Image expected =
            io::resize(io::ImageView(photo).part(c.left, c.top, c.crop_width, c.crop_height), c.resized_width,
                       c.resized_height, interpolation, io::Window{c.x, c.y, kWidth, kHeight});
        const Difference d = between(c.mirror ? mirrored(expected) : expected.rgb, levels, first);
        INFO(device->name() << (interpolation == Interpolation::bicubic ? " bicubic " : " bilinear ") << c.width
                            << " x " << c.height);
        CHECK(d.levels <= 1);
        CHECK(d.unequal < 0.3);  // two roundings instead of one
        first += expected.rgb.size();
      }
    }
}

TEST_CASE("an augmented photo is the loader's to one grey level, normalised") {
  const io::Preprocessing p{.crop = 32};
  for (const auto& make_device : kDevices) {
    const auto device = make_device();
    for (uint64_t index = 0; index < 6; ++index) {
      const io::Image photo = noise_image(90 + 7 * static_cast<int>(index), 70);
      const io::Draw draw = io::draw_augmentation({}, photo.width, photo.height, 1, 0, index);
      const io::CropRegion& r = draw.region;
      std::vector<float> expected(32 * 32 * 3);
      io::preprocess_augmented(photo, p, draw, expected.data());
      const auto y = resized(device, photo.rgb,
                             {{0, photo.width, photo.height, r.x, r.y, r.width, r.height, 32, 32, 0, 0, draw.flip}}, 32,
                             32, p.interpolation, p.mean, p.std);
      float worst = 0;
      for (size_t i = 0; i < y.size(); ++i)
        worst = std::max(worst, std::abs(y[i] - expected[i]) * p.std[i % 3] * 255);  // in grey levels
      CHECK(worst <= 1.001f);
    }
  }
}

}  // namespace
}  // namespace graft::test
