// Photos to a batch: crop, antialiased resize, mirror, normalise.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "contract/resize_box.h"
#include "kernels/reference/checks.h"
#include "kernels/reference/primitives.h"
#include "kernels/reference/views.h"

namespace graft::reference {

namespace {

struct Filter {
  double support;  // zero beyond
  double (*at)(double x);
};

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }
double cubic(double x) {  // Keys 1981 with a = −½
  x = std::abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

// The inputs from `first` on that output `o` is made of, and their shares of it.
struct Taps {
  int64_t first = 0;
  std::vector<double> weights;

  Taps(int64_t o, int64_t in, int64_t out, const Filter& filter) {
    const double scale = static_cast<double>(in) / static_cast<double>(out), stretch = std::max(scale, 1.0);
    const double centre = (static_cast<double>(o) + 0.5) * scale, support = filter.support * stretch;
    first = std::max<int64_t>(0, static_cast<int64_t>(std::floor(centre - support + 0.5)));
    const int64_t end = std::min(in, static_cast<int64_t>(std::floor(centre + support + 0.5)));
    double sum = 0;
    for (int64_t k = first; k < end; ++k) {
      weights.push_back(filter.at((static_cast<double>(k) + 0.5 - centre) / stretch));
      sum += weights.back();
    }
    for (double& w : weights) w /= sum;
  }
};

double clamped(double level) { return std::clamp(level, 0.0, 255.0); }

// One channel of one pixel of the resized crop: along each row, then down the column.
double resampled(const ResizeBox& box, const uint8_t* photo, const Taps& across, const Taps& down, int64_t channel) {
  double level = 0;
  for (size_t j = 0; j < down.weights.size(); ++j) {
    const int64_t y = box.top + down.first + static_cast<int64_t>(j), x = box.left + across.first;
    const uint8_t* pixel = photo + 3 * (y * box.width + x) + channel;
    double row = 0;
    for (size_t k = 0; k < across.weights.size(); ++k) row += across.weights[k] * pixel[3 * k];
    level += down.weights[j] * clamped(row);
  }
  return clamped(level);
}

}  // namespace

Status resize_images(const ResizeImagesArgs& a) {
  bool fits = is_float(a.y) && a.y.shape.rank == 4 && a.y.shape[3] == 3 && a.pixels.dtype == DType::u8 &&
              a.pixels.shape.rank == 1 && is(a.boxes, DType::i64, {a.y.shape[0], ResizeImagesArgs::kBoxFields}) &&
              (a.filter == ResizeFilter::bilinear || a.filter == ResizeFilter::bicubic);
  for (int c = 0; c < 3; ++c) fits = fits && std::isfinite(a.mean[c]) && std::isfinite(a.std[c]) && a.std[c] > 0;
  if (!fits) return Status::invalid_argument;
  constexpr Filter kFilters[] = {{1, triangle}, {2, cubic}};
  const Filter& filter = kFilters[static_cast<int>(a.filter)];
  return for_float_type(a.y.dtype, [&](auto type) {
    using T = decltype(type);
    const View4<T> out(a.y);
    for (auto [n, h, w, c] : out.indices()) {
      const ResizeBox& box = a.boxes.as<const ResizeBox>()[n];
      double value = std::numeric_limits<double>::quiet_NaN();
      if (box.fits(a.pixels.numel(), out.extent(2), out.extent(1))) {
        const int64_t column = box.mirrored != 0 ? out.extent(2) - 1 - w : w;
        const Taps across(box.x + column, box.crop_width, box.resized_width, filter);
        const Taps down(box.y + h, box.crop_height, box.resized_height, filter);
        const double level = resampled(box, a.pixels.as<const uint8_t>() + box.begin, across, down, c);
        value = (level / 255 - a.mean[c]) / a.std[c];
      }
      out(n, h, w, c) = static_cast<T>(value);
    }
  });
}

}  // namespace graft::reference
