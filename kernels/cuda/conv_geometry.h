// Where the operands of a convolution lie: the index arithmetic of implicit GEMM (Chetlur et al. 2014, §3), the same
// for every element type. Offsets are counted in elements.
//
// A convolution is a product with the matrix of patches of an image [N,H,W,C], which is never stored. With C' = C /
// groups channels in a group, each group has one of its own:
//   patches[p, k] = image[n, h·stride − pad + r·dilation, w·stride − pad + s·dilation, g·C' + c], or 0 beside the image
//   p = (n·Ho + h)·Wo + w: an output pixel          k = (r·S + s)·C' + c: a tap and a channel
// With weight [K,R,S,C'] read as [K, R·S·C'], and of each tensor the channels of the group:
//   forward               y = patches(x) · weightᵀ                   sums over k
//   backward by weights   dweight = dyᵀ · patches(x)                 sums over p
//   backward by data      dx = patches(dy) · the taps' weights       sums over taps and outputs, a phase at a time
//
// Where C' is a multiple of a vector, neighbours along k are neighbours in memory: a vector never straddles a tap.
#pragma once
#include <cstdint>

#include "contract/conv_params.h"
#include "contract/tensor_view.h"
#include "kernels/cuda/platform.h"

namespace graft::cuda {

// Division by a number that is fixed before the launch: a multiplication and a shift in place of some hundred
// instructions (Granlund & Montgomery 1994, theorem 4.2). With 2^(l−1) < d <= 2^l and m = ⌈2^(44 + l) / d⌉, ⌊n / d⌋ =
// ⌊n·m / 2^(44 + l)⌋ for every n < 2^44, which is kMaxElements: any index of any tensor.
struct FastDivisor {
  int64_t divisor = 1;
  uint64_t magic = uint64_t{1} << 44;
  int32_t shift = 0;

  FastDivisor() = default;
  explicit constexpr FastDivisor(int64_t d) : divisor(d > 0 ? d : 1) {  // of an empty extent nothing is ever asked
    const auto positive = static_cast<uint64_t>(divisor);
    while (uint64_t{1} << shift < positive) ++shift;
    uint64_t power = uint64_t{1} << shift;  // of 2; long division of 2^shift · 2^44, bit by bit
    magic = power / positive;
    uint64_t remainder = power % positive;
    for (int bit = 0; bit < 44; ++bit) {
      remainder *= 2;
      magic = 2 * magic + (remainder >= positive);
      if (remainder >= positive) remainder -= positive;
    }
    magic += remainder > 0;
  }

  __device__ int64_t quotient(int64_t n) const {  // 0 <= n < 2^44
    return static_cast<int64_t>(__umul64hi(static_cast<uint64_t>(n) << 20, magic) >> shift);
  }
  // n becomes n mod d; the quotient is returned.
  __device__ int64_t divide(int64_t& n) const {
    const int64_t q = quotient(n);
    n -= q * divisor;
    return q;
  }
};
static_assert(kMaxElements == int64_t{1} << 44);

// One axis of a window that slides over an image: at position o its tap t lies on pixel o·stride + origin + t·step,
// which may be beside the image.
struct WindowAxis {
  int64_t pixels = 0;     // of the image
  int64_t positions = 0;  // of the window
  int64_t stride = 1, origin = 0, step = 1;
};

struct Patches {
  WindowAxis rows, columns;
  int64_t channels = 0;     // of the group
  int64_t row_pitch = 0;    // from a row of pixels to the next: W · C
  int64_t pixel_pitch = 0;  // from a pixel to the next: C
  FastDivisor by_positions_h, by_positions_w, by_taps_w, by_channels;

  struct Pixel {    // p
    int64_t image;  // where image n begins
    int64_t h, w;   // the window's tap (0, 0)
  };
  struct Tap {  // k
    int64_t h, w, channel;
  };

  __device__ Pixel pixel(int64_t p) const {
    int64_t w = p, h = by_positions_w.divide(w);
    const int64_t n = by_positions_h.divide(h);
    return {n * rows.pixels * row_pitch, h * rows.stride + rows.origin, w * columns.stride + columns.origin};
  }
  __device__ Tap tap(int64_t k) const {
    int64_t channel = k, w = by_channels.divide(channel);
    const int64_t h = by_taps_w.divide(w);
    return {h, w, channel};
  }
  // From the image's first element of the group; negative: beside the image, a zero.
  __device__ int64_t offset(const Pixel& p, const Tap& t) const {
    const int64_t h = p.h + t.h * rows.step, w = p.w + t.w * columns.step;
    const bool inside = 0 <= h && h < rows.pixels && 0 <= w && w < columns.pixels;
    return inside ? p.image + h * row_pitch + w * pixel_pitch + t.channel : -1;
  }
};

// The patches of forward and of backward by weights: image x, output y, weight [K,R,S,C'].
inline Patches patches_of(const Shape& image, const Shape& output, const Shape& weight, const Conv2dParams& p) {
  return {.rows = {image[1], output[1], p.stride.h, -int64_t{p.pad.top}, p.dilation.h},
          .columns = {image[2], output[2], p.stride.w, -int64_t{p.pad.left}, p.dilation.w},
          .channels = weight[3],
          .row_pitch = image[2] * image[3],
          .pixel_pitch = image[3],
          .by_positions_h = FastDivisor(output[1]),
          .by_positions_w = FastDivisor(output[2]),
          .by_taps_w = FastDivisor(weight[2]),
          .by_channels = FastDivisor(weight[3])};
}

// ---- backward by data: phases
//
// Pixel h of dx gathers dy[o] · weight[r] over all o·stride − pad + r·dilation = h, and so over the taps r with
// r·dilation ≡ h + pad (mod stride). These are the same taps for h, h + stride, h + 2·stride, …: a phase. With g =
// gcd(stride, dilation) and period = stride / g there are none unless g divides h + pad, and else they are
//   r = r₀ + t·period,   r₀ = (h + pad) / g · (dilation / g)⁻¹ mod period,   o = (h + pad − r₀·dilation) / stride −
//   t·dilation / g
// So within a phase the gathering is a convolution of stride 1 over dy, with these taps alone: the phases of a whole
// image together multiply as often as forward does, where gathering through all taps takes stride² times that.

// An axis, before a phase is chosen.
struct PhaseAxis {
  int64_t pixels, windows, taps;  // H, Ho, R
  int64_t stride, pad, dilation;
  int64_t common, period, inverse;  // g, stride / g, (dilation / g)⁻¹ mod period
  int64_t most_taps;                // of any phase; another has as many, one less, or none
  int64_t most_pixels;

  int64_t phases() const { return pixels < stride ? pixels : stride; }
};

// Phase `first`: pixels first + i·stride.
struct Phase {
  WindowAxis window;                // over dy
  int64_t first, stride, pixels;    // pixel i of the phase is `first + i·stride` of dx, if that is less than `pixels`
  int64_t first_tap, period, taps;  // tap t of the phase is `first_tap + t·period` of weight

  __device__ int64_t pixel(int64_t i) const { return first + i * stride; }
  __device__ int64_t tap(int64_t t) const { return first_tap + t * period; }
};

inline PhaseAxis phase_axis(int64_t pixels, int64_t windows, int64_t taps, int64_t stride, int64_t pad,
                            int64_t dilation) {
  PhaseAxis a{.pixels = pixels, .windows = windows, .taps = taps, .stride = stride, .pad = pad, .dilation = dilation};
  a.common = stride;
  for (int64_t rest = dilation; rest != 0;) {
    const int64_t next = a.common % rest;
    a.common = rest;
    rest = next;
  }
  a.period = stride / a.common;
  // Extended Euclid: old · dilation / g ≡ remainder (mod period) throughout, and the remainder ends as 1.
  int64_t old = 1, coefficient = 0;
  for (int64_t remainder = dilation / a.common % a.period, next = a.period; next != 0;) {
    const int64_t q = remainder / next, r = remainder - q * next, c = old - q * coefficient;
    remainder = next, next = r, old = coefficient, coefficient = c;
  }
  a.inverse = (old % a.period + a.period) % a.period;
  a.most_taps = (taps + a.period - 1) / a.period;
  a.most_pixels = (pixels + stride - 1) / stride;
  return a;
}

__host__ __device__ inline Phase phase_of(const PhaseAxis& a, int64_t first) {
  const int64_t residue = (first + a.pad) % a.stride;
  const bool any = residue % a.common == 0;
  const int64_t first_tap = residue / a.common * a.inverse % a.period;
  const int64_t origin = (first + a.pad - first_tap * a.dilation) / a.stride;  // exact, where there is a tap
  const int64_t taps = any && first_tap < a.taps ? (a.taps - 1 - first_tap) / a.period + 1 : 0;
  return {.window = {.pixels = a.windows,
                     .positions = a.most_pixels,
                     .stride = 1,
                     .origin = origin,
                     .step = -(a.dilation / a.common)},
          .first = first,
          .stride = a.stride,
          .pixels = a.pixels,
          .first_tap = first_tap,
          .period = a.period,
          .taps = taps};
}

}  // namespace graft::cuda
