// Separable resampling, horizontally and then vertically, as Pillow's Resample.c does it. When shrinking, the filter is
// stretched by the scale, so that every source pixel counts. Weights are rounded to 22 bits behind the point; each pass
// rounds to whole grey levels. The order of the passes and both roundings are part of the result.
#include "io/image/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"

namespace graft::io {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;  // a sum of weights times 255 fits in int32, with room for overshoot

struct Filter {
  double support;  // zero beyond
  double (*weight)(double x);
};

double triangle(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

constexpr Filter kFilters[] = {{1.0, triangle}, {2.0, cubic}};

// For each of `count` outputs, from `first` on: which inputs it is the weighted sum of.
struct Taps {
  struct Range {
    int begin, count;
  };
  std::vector<Range> ranges;
  std::vector<int32_t> weights;  // `stride` for each output, fixed point
  int stride = 0;

  const int32_t* of(int i) const { return weights.data() + size_t{1} * i * stride; }
};

// Halves upward, as Pillow does.
int rounded(double x) { return static_cast<int>(std::floor(x + 0.5)); }

Taps make_taps(int input, float begin, float end, int64_t output, int64_t first, int count, const Filter& filter) {
  const double scale = static_cast<double>(end - begin) / static_cast<double>(output);
  const double stretch = std::max(scale, 1.0), support = filter.support * stretch, narrow = 1.0 / stretch;

  Taps taps;
  taps.stride = std::min(static_cast<int>(std::ceil(support)) * 2 + 1, input);
  taps.ranges.resize(count);
  taps.weights.assign(size_t{1} * count * taps.stride, 0);
  std::vector<double> exact(taps.stride);
  for (int i = 0; i < count; ++i) {
    const double center = begin + (static_cast<double>(first + i) + 0.5) * scale;
    const int from = std::max(rounded(center - support), 0), to = std::min(rounded(center + support), input);
    GRAFT_ASSERT(from < to && to - from <= taps.stride);
    taps.ranges[i] = {from, to - from};

    double sum = 0;
    for (int k = 0; k < to - from; ++k) sum += exact[k] = filter.weight((k + from - center + 0.5) * narrow);
    int32_t* weights = taps.weights.data() + size_t{1} * i * taps.stride;
    for (int k = 0; k < to - from; ++k) {
      const double share = sum != 0.0 ? exact[k] / sum : exact[k];
      weights[k] = static_cast<int32_t>((share < 0 ? -0.5 : 0.5) + share * (1 << kPrecisionBits));
    }
  }
  return taps;
}

uint8_t to_grey_level(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255)); }

constexpr int32_t kHalf = 1 << (kPrecisionBits - 1);

// One row: to[i] = Σ_k weight[k] · from[begin + k], for each of the three channels.
void resample_row(const uint8_t* row, const Taps& taps, int count, uint8_t* to) {
  for (int i = 0; i < count; ++i, to += 3) {
    const auto [begin, taps_here] = taps.ranges[i];
    const uint8_t* from = row + size_t{3} * begin;
    const int32_t* weights = taps.of(i);
    int32_t r = kHalf, g = kHalf, b = kHalf;
    for (int k = 0; k < taps_here; ++k, from += 3) {
      r += from[0] * weights[k];
      g += from[1] * weights[k];
      b += from[2] * weights[k];
    }
    to[0] = to_grey_level(r), to[1] = to_grey_level(g), to[2] = to_grey_level(b);
  }
}

// One row from several: to[x] = Σ_k weight[k] · rows[k][x]. `sums` has room for `bytes`.
void combine_rows(const uint8_t* rows, size_t row_bytes, const int32_t* weights, int count, size_t bytes, int32_t* sums,
                  uint8_t* to) {
  std::fill_n(sums, bytes, kHalf);
  for (int k = 0; k < count; ++k) {
    const uint8_t* row = rows + row_bytes * k;
    const int32_t weight = weights[k];
    for (size_t x = 0; x < bytes; ++x) sums[x] += row[x] * weight;
  }
  for (size_t x = 0; x < bytes; ++x) to[x] = to_grey_level(sums[x]);
}

// All of an image. A side is below 2^24, so a float holds it exactly.
Box whole(const ImageView& image) { return {0, 0, static_cast<float>(image.width), static_cast<float>(image.height)}; }

Image resample(const ImageView& source, int64_t width, int64_t height, const Filter& filter, const Box& box,
               const Window& window) {
  const bool moves_x = box.left != 0 || box.right != static_cast<float>(width) || width != source.width;
  const bool moves_y = box.top != 0 || box.bottom != static_cast<float>(height) || height != source.height;
  Image out{window.width, window.height, std::vector<uint8_t>(size_t{3} * window.width * window.height)};
  if (out.rgb.empty()) return out;
  const size_t out_row = size_t{3} * window.width;

  // Rows of the source that the window needs, resampled horizontally.
  Taps down;
  int first_row = static_cast<int>(window.y), last_row = first_row + window.height;
  if (moves_y) {
    down = make_taps(source.height, box.top, box.bottom, height, window.y, window.height, filter);
    first_row = down.ranges.front().begin;
    last_row = down.ranges.back().begin + down.ranges.back().count;
  }
  const int rows = last_row - first_row;
  std::vector<uint8_t> scratch(moves_y ? out_row * rows : 0);
  uint8_t* across = moves_y ? scratch.data() : out.rgb.data();
  const uint8_t* from = source.rgb + source.row_bytes * first_row;
  if (moves_x) {
    const Taps taps = make_taps(source.width, box.left, box.right, width, window.x, window.width, filter);
    for (int y = 0; y < rows; ++y) resample_row(from + source.row_bytes * y, taps, window.width, across + out_row * y);
  } else {
    for (int y = 0; y < rows; ++y)
      std::memcpy(across + out_row * y, from + source.row_bytes * y + size_t{3} * window.x, out_row);
  }
  if (!moves_y) return out;

  std::vector<int32_t> sums(out_row);
  for (int y = 0; y < window.height; ++y) {
    const auto [begin, count] = down.ranges[y];
    combine_rows(across + out_row * (begin - first_row), out_row, down.of(y), count, out_row, sums.data(),
                 out.rgb.data() + out_row * y);
  }
  return out;
}

}  // namespace

ImageView ImageView::part(int x, int y, int part_width, int part_height) const {
  GRAFT_ASSERT(x >= 0 && y >= 0 && part_width >= 0 && part_height >= 0 && x <= width - part_width &&
               y <= height - part_height);
  ImageView view = *this;
  view.rgb += row_bytes * y + size_t{3} * x;
  view.width = part_width;
  view.height = part_height;
  return view;
}

Image resize(const ImageView& source, int64_t width, int64_t height, Interpolation interpolation,
             const Window& window) {
  GRAFT_CHECK(source.width > 0 && source.height > 0 && width > 0 && height > 0,
              "resize: {} x {} pixels cannot become {} x {}", source.width, source.height, width, height);
  GRAFT_CHECK(window.x >= 0 && window.y >= 0 && window.width >= 0 && window.height >= 0 &&
                  window.x <= width - window.width && window.y <= height - window.height,
              "resize: the window at {}, {} of {} x {} pixels lies outside the result of {} x {}", window.x, window.y,
              window.width, window.height, width, height);
  const Box all = whole(source);
  return resample(source, width, height, kFilters[static_cast<int>(interpolation)], all, window);
}

Image resize(const ImageView& source, int width, int height, Interpolation interpolation) {
  return resize(source, width, height, interpolation, Window{0, 0, width, height});
}

Image resize(const ImageView& source, int width, int height, Interpolation interpolation, const Box& box) {
  GRAFT_CHECK(width > 0 && height > 0 && box.left >= 0 && box.top >= 0 && box.left < box.right &&
                  box.top < box.bottom && box.right <= static_cast<float>(source.width) &&
                  box.bottom <= static_cast<float>(source.height),
              "resize: the box {}, {} to {}, {} does not lie inside {} x {} pixels", box.left, box.top, box.right,
              box.bottom, source.width, source.height);
  return resample(source, width, height, kFilters[static_cast<int>(interpolation)], box, {0, 0, width, height});
}

}  // namespace graft::io
