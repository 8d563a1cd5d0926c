#include "io/image/preprocess.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "io/philox_stream.h"

namespace graft::io {
namespace {

struct LongSize {
  int64_t width, height;
};

// torchvision's Resize(int): long side = int(size · long / short).
LongSize resized(int width, int height, int size) {
  if (size == 0) return {width, height};
  const int64_t shorter = std::min(width, height), longer = size * int64_t{std::max(width, height)} / shorter;
  return width <= height ? LongSize{size, longer} : LongSize{longer, size};
}

// Python's round(): to the nearest, halves to the even one.
int64_t round_half_even(int64_t twice) { return twice / 2 + (twice % 2 != 0 && twice / 2 % 2 != 0 ? 1 : 0); }

// Along one axis: where a crop of `crop` meets `extent` pixels. `skip` of these come before the window, `pad` black
// ones of the crop before it, `count` are shared.
struct CropAxis {
  int64_t skip;
  int pad, count;
};
CropAxis center_crop(int64_t extent, int crop) {
  if (crop == 0) return {0, 0, static_cast<int>(extent)};
  if (extent < crop) return {0, static_cast<int>((crop - extent) / 2), static_cast<int>(extent)};
  return {round_half_even(extent - crop), 0, crop};
}

// Normalisation of a byte is one of 256 values a channel.
class Normalizer {
 public:
  explicit Normalizer(const Preprocessing& p) {
    for (int v = 0; v < 256; ++v)
      for (int c = 0; c < 3; ++c) table_[v][c] = (static_cast<float>(v) / 255.0f - p.mean[c]) / p.std[c];
  }

  void black(int64_t pixels, float* to) const {
    for (; pixels > 0; --pixels, to += 3) put(kBlack, to);
  }
  void row(const uint8_t* rgb, int pixels, float* to) const {
    for (int x = 0; x < pixels; ++x, rgb += 3, to += 3) put(rgb, to);
  }
  void mirrored_row(const uint8_t* rgb, int pixels, float* to) const {
    for (int x = pixels - 1; x >= 0; --x, to += 3) put(rgb + 3 * x, to);
  }

 private:
  static constexpr uint8_t kBlack[3] = {0, 0, 0};
  void put(const uint8_t* rgb, float* to) const {
    for (int c = 0; c < 3; ++c) to[c] = table_[rgb[c]][c];
  }
  float table_[256][3];
};

// e^x for |x| < 0.3 by its series to the 13th power, below half a unit in the last place. The C library's differs
// between processors, and a crop must not.
double small_exp(double x) {
  double sum = 1;
  for (int n = 13; n >= 1; --n) sum = 1 + x / n * sum;
  return sum;
}

constexpr double kLogRatio = 0.28768207245178092744;  // log(4/3)
constexpr double kMaxRatio = 4.0 / 3.0, kMinRatio = 3.0 / 4.0;

CropRegion random_region(const Augmentation& a, int width, int height, PhiloxStream& random) {
  const double area = static_cast<double>(width) * height;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * (a.min_area + (double{a.max_area} - a.min_area) * random.unit());
    const double ratio = small_exp(kLogRatio * (2.0 * random.unit() - 1.0));
    const double w = std::nearbyint(std::sqrt(target * ratio)), h = std::nearbyint(std::sqrt(target / ratio));
    const uint32_t u = random.next(), v = random.next();
    if (w < 1 || w > width || h < 1 || h > height) continue;
    CropRegion region{0, 0, static_cast<int>(w), static_cast<int>(h)};
    region.y = static_cast<int>(uint64_t{u} * (height - region.height + 1) >> 32);
    region.x = static_cast<int>(uint64_t{v} * (width - region.width + 1) >> 32);
    return region;
  }
  CropRegion region{0, 0, width, height};  // the middle, cut to the nearest allowed ratio
  const double ratio = static_cast<double>(width) / height;
  if (ratio < kMinRatio) region.height = static_cast<int>(std::nearbyint(width / kMinRatio));
  if (ratio > kMaxRatio) region.width = static_cast<int>(std::nearbyint(height * kMaxRatio));
  region.x = (width - region.width) / 2;
  region.y = (height - region.height) / 2;
  return region;
}

}  // namespace

void check_preprocessing(const Preprocessing& p) {
  constexpr int kLargest = 1 << 14;
  GRAFT_CHECK(p.resize >= 0 && p.resize <= kLargest && p.crop >= 0 && p.crop <= kLargest,
              "preprocessing: resize {} and crop {} must lie between 0 (off) and {}", p.resize, p.crop, kLargest);
  for (int c = 0; c < 3; ++c)
    GRAFT_CHECK(std::isfinite(p.mean[c]) && std::isfinite(p.std[c]) && p.std[c] > 0,
                "preprocessing: mean {} and std {} of channel {} must be numbers, and std more than 0", p.mean[c],
                p.std[c], c);
}

Draw draw_augmentation(const Augmentation& a, int width, int height, uint64_t seed, uint64_t epoch, uint64_t index) {
  GRAFT_CHECK(a.min_area > 0 && a.min_area <= a.max_area && a.max_area <= 1,
              "augmentation: crops of {} to {} of the picture's area; 0 < smallest <= largest <= 1 is needed",
              a.min_area, a.max_area);
  PhiloxStream random(seed, RandomPurpose::augment, epoch, index);
  const bool flip = random.unit() < 0.5f;
  return {random_region(a, width, height, random), a.flip && flip};
}

OutputSize output_size(int width, int height, const Preprocessing& p) {
  check_preprocessing(p);
  if (p.crop > 0) return {p.crop, p.crop};
  const LongSize size = resized(width, height, p.resize);
  const DecodeLimits limits;
  GRAFT_CHECK(size.width <= limits.side && size.height <= limits.side && size.width * size.height <= limits.pixels,
              "preprocessing: {} x {} pixels with the short side at {} become {} x {}, which is too large", width,
              height, p.resize, size.width, size.height);
  return {static_cast<int>(size.height), static_cast<int>(size.width)};
}

void preprocess(const ImageView& image, const Preprocessing& p, float* out) {
  const OutputSize output = output_size(image.width, image.height, p);
  const LongSize size = resized(image.width, image.height, p.resize);
  const CropAxis across = center_crop(size.width, p.crop), down = center_crop(size.height, p.crop);
  const Image middle =
      resize(image, size.width, size.height, p.interpolation, Window{across.skip, down.skip, across.count, down.count});

  const Normalizer normalizer(p);
  const size_t row = size_t{3} * output.width;
  normalizer.black(int64_t{1} * down.pad * output.width, out);
  for (int y = 0; y < down.count; ++y) {
    float* to = out + row * (down.pad + y);
    normalizer.black(across.pad, to);
    normalizer.row(middle.rgb.data() + size_t{3} * y * across.count, across.count, to + 3 * across.pad);
    const int done = across.pad + across.count;
    normalizer.black(output.width - done, to + 3 * done);
  }
  const int done = down.pad + down.count;
  normalizer.black(int64_t{1} * (output.height - done) * output.width, out + row * done);
}

void preprocess_augmented(const ImageView& image, const Preprocessing& p, const Draw& draw, float* out) {
  check_preprocessing(p);
  GRAFT_CHECK(p.crop > 0, "preprocessing: random crops need the size of the network's input as `crop`");
  const CropRegion& r = draw.region;
  const Image square = resize(image.part(r.x, r.y, r.width, r.height), p.crop, p.crop, p.interpolation);

  const Normalizer normalizer(p);
  const size_t row = size_t{3} * p.crop;
  for (int y = 0; y < p.crop; ++y) {
    const uint8_t* from = square.rgb.data() + row * y;
    if (draw.flip)
      normalizer.mirrored_row(from, p.crop, out + row * y);
    else
      normalizer.row(from, p.crop, out + row * y);
  }
}

}  // namespace graft::io
