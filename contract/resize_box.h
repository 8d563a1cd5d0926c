// What of a photo resize_images takes, and which pixels of it each pixel of the result is made of. In whole numbers, so
// that all devices agree.
#pragma once
#include <cstdint>

#include "contract/anywhere.h"
#include "contract/primitives.h"

namespace graft {

// A row of ResizeImagesArgs::boxes.
struct ResizeBox {
  int64_t begin, width, height;                // the photo: its first byte in `pixels`, its sides
  int64_t left, top, crop_width, crop_height;  // the part that is resized
  int64_t resized_width, resized_height;
  int64_t x, y;      // the window of the resized crop that is the result begins here
  int64_t mirrored;  // not 0: the window's columns come in reverse

  static constexpr int64_t kMaxSide = int64_t{1} << 24;

  // Photo in pixels, crop in photo, window in resized crop.
  GRAFT_ANYWHERE constexpr bool fits(int64_t bytes, int64_t window_width, int64_t window_height) const {
    return is_side(width) && is_side(height) && is_side(crop_width) && is_side(crop_height) && is_side(resized_width) &&
           is_side(resized_height) && inside(begin, 3 * width * height, bytes) && inside(left, crop_width, width) &&
           inside(top, crop_height, height) && inside(x, window_width, resized_width) &&
           inside(y, window_height, resized_height);
  }

 private:
  GRAFT_ANYWHERE static constexpr bool is_side(int64_t n) { return n >= 1 && n <= kMaxSide; }
  GRAFT_ANYWHERE static constexpr bool inside(int64_t first, int64_t count, int64_t of) {
    return first >= 0 && count <= of && first <= of - count;
  }
};

static_assert(sizeof(ResizeBox) == ResizeImagesArgs::kBoxFields * sizeof(int64_t));

// Along one axis, `in` pixels become `out`. With scale = in / out and stretch = max(scale, 1), output o has its centre
// at (o + ½)·scale, and input k, whose centre is k + ½, the weight filter((k + ½ − centre) / stretch).
struct ResizeAxis {
  int64_t in, out;
  int64_t support;  // of the filter: it is 0 beyond ± support

  // The inputs [first, end) of output o: ⌊centre ∓ support·stretch + ½⌋, those that there are.
  GRAFT_ANYWHERE constexpr int64_t first(int64_t o) const {
    const int64_t n = (2 * o + 1) * in + out - reach();
    return n > 0 ? n / (2 * out) : 0;
  }
  GRAFT_ANYWHERE constexpr int64_t end(int64_t o) const {
    const int64_t n = ((2 * o + 1) * in + out + reach()) / (2 * out);
    return n < in ? n : in;
  }
  // (k + ½ − centre) / stretch = distance(o, k) / unit()
  GRAFT_ANYWHERE constexpr int64_t distance(int64_t o, int64_t k) const { return (2 * k + 1) * out - (2 * o + 1) * in; }
  GRAFT_ANYWHERE constexpr int64_t unit() const { return 2 * longer(); }

 private:
  GRAFT_ANYWHERE constexpr int64_t longer() const { return in > out ? in : out; }
  GRAFT_ANYWHERE constexpr int64_t reach() const { return 2 * support * longer(); }  // in 1 / (2·out) of a pixel
};

}  // namespace graft
