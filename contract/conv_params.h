// Geometry of a sliding window: convolution and pooling. Padding is explicit and may differ on each side; "SAME"
// padding is turned into numbers by `same_padding` once the size of the input is known.
#pragma once
#include <cstdint>

namespace graft {

struct Extent2 {
  int32_t h = 1, w = 1;
  friend constexpr bool operator==(const Extent2&, const Extent2&) = default;
};

struct Padding {
  int32_t top = 0, bottom = 0, left = 0, right = 0;
  friend constexpr bool operator==(const Padding&, const Padding&) = default;
};

struct Conv2dParams {
  Extent2 stride;
  Extent2 dilation;
  Padding pad;
  int32_t groups = 1;
};

struct PoolParams {
  Extent2 window;
  Extent2 stride;
  Padding pad;  // max: padded pixels never win; average: see count_include_pad
  int32_t count_include_pad = 1;
};

// Number of window positions along one axis; <= 0 when the window does not fit.
constexpr int64_t output_extent(int64_t input, int32_t pad_before, int32_t pad_after, int64_t window, int32_t dilation,
                                int32_t stride) {
  const int64_t span = dilation * (window - 1) + 1, room = input + pad_before + pad_after - span;
  return room < 0 ? 0 : room / stride + 1;
}

struct PaddingPair {
  int32_t before = 0, after = 0;
};

// TensorFlow's SAME: ceil(input / stride) outputs, the odd padding pixel behind the input.
constexpr PaddingPair same_padding(int64_t input, int64_t window, int32_t dilation, int32_t stride) {
  const int64_t outputs = (input + stride - 1) / stride;
  const int64_t needed = (outputs - 1) * stride + dilation * (window - 1) + 1 - input;
  const int64_t total = needed > 0 ? needed : 0;
  return {static_cast<int32_t>(total / 2), static_cast<int32_t>(total - total / 2)};
}

}  // namespace graft
