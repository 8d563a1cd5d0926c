// The gradient of a convolution by its input, as convolutions of stride 1 over dy.
//
// Input row h meets tap t of output row o where h + pad = o · stride + t · dilation. So the rows h ≡ phase (mod stride)
// meet every (stride / g)-th tap, g = gcd(stride, dilation), on rows of dy that move by dilation / g from one to the
// next: a convolution of stride 1 with the taps in reverse, whose outputs are stride apart in dx. Stride 1 has one
// phase, the familiar convolution with flipped weights; stride 2 has four, which share the multiplications of one pass
// with none wasted on zeros. Phases without a tap (1x1, stride 2) store zeros.
#pragma once
#include <algorithm>
#include <cstdint>
#include <numeric>

#include "contract/conv_params.h"
#include "contract/shape.h"
#include "kernels/cpu/dispatch.h"

namespace graft::cpu {

// One axis of a phase: which taps, and the window over dy that they make.
struct PhaseAxis {
  int64_t outputs;                // rows of dx of this phase
  int64_t taps, first_tap, step;  // tap j is first_tap + (taps − 1 − j) · step
  int64_t dilation, pad;
};

inline PhaseAxis phase_axis(int64_t phase, int64_t extent, int64_t taps, int64_t stride, int64_t dilation,
                            int64_t pad) {
  const int64_t g = std::gcd(stride, dilation), step = stride / g;
  PhaseAxis axis{ceil_div(extent - phase, stride), 0, 0, step, dilation / g, 0};
  int64_t first = 0;
  while (first < step && first < taps && (phase + pad - first * dilation) % stride != 0) ++first;
  if (first == step || first >= taps) return axis;  // no tap falls on this phase
  axis.first_tap = first;
  axis.taps = ceil_div(taps - first, step);
  axis.pad = (axis.taps - 1) * axis.dilation - (phase + pad - first * dilation) / stride;
  return axis;
}

struct PhasePlace {
  PhaseAxis rows, columns;
  int64_t y_offset;  // of the phase's first pixel in dx, in floats
};

// Calls f for every phase of dx [N,H,W,C] that has pixels.
template <typename F>
void for_phases(const Shape& dx, int64_t taps_h, int64_t taps_w, const Conv2dParams& c, F&& f) {
  for (int64_t ph = 0; ph < std::min<int64_t>(c.stride.h, dx[1]); ++ph)
    for (int64_t pw = 0; pw < std::min<int64_t>(c.stride.w, dx[2]); ++pw) {
      PhaseAxis rows = phase_axis(ph, dx[1], taps_h, c.stride.h, c.dilation.h, c.pad.top);
      PhaseAxis columns = phase_axis(pw, dx[2], taps_w, c.stride.w, c.dilation.w, c.pad.left);
      if (rows.taps == 0 || columns.taps == 0) {
        rows.taps = columns.taps = 0;
        rows.pad = columns.pad = 0;
      }
      f(PhasePlace{rows, columns, (ph * dx[2] + pw) * dx[3]});
    }
}

}  // namespace graft::cpu
