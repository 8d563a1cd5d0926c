// A window that slides over rows and columns: where its taps fall on the input, and back.
//   input = output · stride − pad + tap · dilation
#pragma once
#include <cstdint>

#include "contract/conv_params.h"
#include "contract/shape.h"

namespace graft::reference {

struct WindowAxis {
  int64_t input, output, taps;
  int32_t stride, dilation, pad_before, pad_after;

  // The input under this tap, or -1 where there is padding.
  int64_t input_at(int64_t out, int64_t tap) const {
    const int64_t in = out * stride - pad_before + tap * dilation;
    return 0 <= in && in < input ? in : -1;
  }
  // The output whose window has this tap on that input, or -1 if there is none.
  int64_t output_at(int64_t in, int64_t tap) const {
    const int64_t steps = in + pad_before - tap * dilation;
    return 0 <= steps && steps % stride == 0 && steps / stride < output ? steps / stride : -1;
  }
  // How many taps of a window lie on the input, not on padding.
  int64_t inside(int64_t out) const {
    int64_t count = 0;
    for (int64_t tap = 0; tap < taps; ++tap) count += input_at(out, tap) >= 0;
    return count;
  }

  // The numbers make sense, the window fits in the padded input, and `output` is how often it does.
  bool valid() const {
    constexpr int64_t kMaxTaps = INT32_MAX;
    return stride >= 1 && dilation >= 1 && pad_before >= 0 && pad_after >= 0 && taps >= 1 && taps <= kMaxTaps &&
           output >= 1 && output == output_extent(input, pad_before, pad_after, taps, dilation, stride);
  }
};

struct Window {
  WindowAxis rows, columns;
  bool valid() const { return rows.valid() && columns.valid(); }
};

// x [N,H,W,C], y [N,Ho,Wo,K]
inline Window window_of(const Shape& x, const Shape& y, int64_t taps_h, int64_t taps_w, const Conv2dParams& p) {
  return {{x[1], y[1], taps_h, p.stride.h, p.dilation.h, p.pad.top, p.pad.bottom},
          {x[2], y[2], taps_w, p.stride.w, p.dilation.w, p.pad.left, p.pad.right}};
}

inline Window window_of(const Shape& x, const Shape& y, const PoolParams& p) {
  return {{x[1], y[1], p.window.h, p.stride.h, 1, p.pad.top, p.pad.bottom},
          {x[2], y[2], p.window.w, p.stride.w, 1, p.pad.left, p.pad.right}};
}

}  // namespace graft::reference
