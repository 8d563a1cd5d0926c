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
#include <numeric>
#include <type_traits>
#include <utility>

#include "contract/conv_params.h"
#include "contract/tensor_view.h"
#include "kernels/cuda/platform.h"

namespace graft::cuda {

// Division by a number that is fixed before the launch: a multiplication and a shift in place of some twenty
// instructions, or a hundred for 64 bits (Granlund & Montgomery 1994, theorem 4.2). With 2^(l−1) < d <= 2^l and m =
// ⌈2^(b + l) / d⌉, ⌊n / d⌋ = ⌊n·m / 2^(b + l)⌋ for every n < 2^b. int64_t: b = 44, kMaxElements, any index of any
// tensor. int32_t: b = 31.
template <typename Index>
struct FastDivisor {
  static constexpr bool kIsWide = sizeof(Index) == 8;
  static constexpr int kBits = kIsWide ? 44 : 31;
  using Magic = std::conditional_t<kIsWide, uint64_t, uint32_t>;

  Index divisor = 1;
  Magic magic = Magic{1} << kBits;
  int32_t shift = 0;

  FastDivisor() = default;
  explicit constexpr FastDivisor(int64_t d) : divisor(d > 0 ? static_cast<Index>(d) : 1) {  // of nothing, no index
    const auto positive = static_cast<uint64_t>(divisor);
    while (uint64_t{1} << shift < positive) ++shift;
    uint64_t quotient = (uint64_t{1} << shift) / positive, remainder = (uint64_t{1} << shift) % positive;
    for (int bit = 0; bit < kBits; ++bit) {  // 2^l / d, then each further bit of 2^(l + b) / d
      remainder *= 2;
      quotient = 2 * quotient + (remainder >= positive);
      if (remainder >= positive) remainder -= positive;
    }
    magic = static_cast<Magic>(quotient + (remainder > 0));
  }

  __device__ Index quotient(Index n) const {  // 0 <= n < 2^b
    const Magic left = static_cast<Magic>(n) << (8 * static_cast<int>(sizeof(Magic)) - kBits);
    if constexpr (kIsWide)
      return static_cast<Index>(__umul64hi(left, magic) >> shift);
    else
      return static_cast<Index>(__umulhi(left, magic) >> shift);
  }
  // n becomes n mod d; the quotient is returned.
  __device__ Index divide(Index& n) const {
    const Index q = quotient(n);
    n -= q * divisor;
    return q;
  }
};
static_assert(kMaxElements == int64_t{1} << FastDivisor<int64_t>::kBits);

// One axis of a window that slides over an image: at position o its tap t lies on pixel o·stride + origin + t·step,
// which may be beside the image.
struct WindowAxis {
  int64_t positions = 0;  // of the window
  int32_t pixels = 0;     // of the image
  int32_t stride = 1, origin = 0, step = 1;
};

// Pixels are counted in 32 bits along an axis, and so are taps and channels of a group together (may_index); output
// pixels and offsets in 64.
struct Patches {
  WindowAxis rows, columns;
  int64_t row_pitch = 0;    // from a row of pixels to the next: W · C
  int64_t pixel_pitch = 0;  // from a pixel to the next: C
  FastDivisor<int64_t> by_positions_h, by_positions_w;
  FastDivisor<int32_t> by_taps_w, by_channels;  // of the group

  struct Pixel {    // p
    int64_t first;  // offset of the window's tap (0, 0)
    int32_t h, w;   // where it is
  };
  struct Tap {  // k
    int32_t h, w, channel;
  };

  __device__ Pixel pixel(int64_t p) const {
    int64_t column = p, row = by_positions_w.divide(column);
    const int64_t n = by_positions_h.divide(row);
    const auto h = static_cast<int32_t>(row * rows.stride + rows.origin);
    const auto w = static_cast<int32_t>(column * columns.stride + columns.origin);
    return {(n * rows.pixels + h) * row_pitch + w * pixel_pitch, h, w};
  }
  __device__ Tap tap(int32_t k) const {
    int32_t channel = k, w = by_channels.divide(channel);
    const int32_t h = by_taps_w.divide(w);
    return {h, w, channel};
  }
  // From the image's first element of the group; negative: beside the image, a zero.
  __device__ int64_t offset(const Pixel& p, const Tap& t) const {
    const int32_t dh = t.h * rows.step, dw = t.w * columns.step;
    const bool inside = static_cast<uint32_t>(p.h + dh) < static_cast<uint32_t>(rows.pixels) &&
                        static_cast<uint32_t>(p.w + dw) < static_cast<uint32_t>(columns.pixels);
    return inside ? p.first + dh * row_pitch + dw * pixel_pitch + t.channel : -1;
  }
};

// Can Patches count this convolution, in any direction? (2^31 pixels along an axis or 8 GB of one filter: it cannot.)
inline bool may_index(const Shape& image, const Shape& weight, const Conv2dParams& p) {
  const auto counts = [](int64_t n) { return n <= INT32_MAX; };
  return counts(image[1] + p.pad.top + p.pad.bottom) && counts(image[2] + p.pad.left + p.pad.right) &&
         counts(weight.count(1, 4)) && counts(weight.count(0, 3) / p.groups);
}

// The patches of forward and of backward by weights: image x, output y, weight [K,R,S,C'].
inline Patches patches_of(const Shape& image, const Shape& output, const Shape& weight, const Conv2dParams& p) {
  const auto axis = [&](int i, int32_t stride, int32_t pad, int32_t dilation) {
    return WindowAxis{output[i], static_cast<int32_t>(image[i]), stride, -pad, dilation};
  };
  return {.rows = axis(1, p.stride.h, p.pad.top, p.dilation.h),
          .columns = axis(2, p.stride.w, p.pad.left, p.dilation.w),
          .row_pitch = image[2] * image[3],
          .pixel_pitch = image[3],
          .by_positions_h = FastDivisor<int64_t>(output[1]),
          .by_positions_w = FastDivisor<int64_t>(output[2]),
          .by_taps_w = FastDivisor<int32_t>(weight[2]),
          .by_channels = FastDivisor<int32_t>(weight[3])};
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
  int32_t pixels, windows, taps;  // H, Ho, R
  int32_t stride, pad, dilation;
  int32_t common, period, inverse;  // g, stride / g, (dilation / g)⁻¹ mod period
  int32_t most_pixels, most_taps;   // of any phase; another has as many taps, one less, or none

  int64_t phases() const { return pixels < stride ? pixels : stride; }
};

struct Phase {
  WindowAxis window;        // over dy
  int32_t first;            // pixel i of the phase is pixel first + i·stride of dx, where there is one
  int32_t first_tap, taps;  // tap t of the phase is tap first_tap + t·period of weight
};

inline PhaseAxis phase_axis(int64_t pixels, int64_t windows, int64_t taps, int32_t stride, int32_t pad,
                            int32_t dilation) {
  PhaseAxis a{.pixels = static_cast<int32_t>(pixels),
              .windows = static_cast<int32_t>(windows),
              .taps = static_cast<int32_t>(taps),
              .stride = stride,
              .pad = pad,
              .dilation = dilation};
  a.common = std::gcd(stride, dilation);
  a.period = stride / a.common;
  // Extended Euclid: coefficient · dilation / g ≡ remainder (mod period) throughout, and the remainder ends as 1.
  int64_t remainder = dilation / a.common % a.period, next = a.period, coefficient = 1, next_coefficient = 0;
  while (next != 0) {  // NOLINT(bugprone-infinite-loop): std::exchange changes it
    const int64_t q = remainder / next;
    remainder = std::exchange(next, remainder - q * next);
    coefficient = std::exchange(next_coefficient, coefficient - q * next_coefficient);
  }
  a.inverse = static_cast<int32_t>((coefficient % a.period + a.period) % a.period);
  a.most_pixels = static_cast<int32_t>((pixels + stride - 1) / stride);
  a.most_taps = static_cast<int32_t>((taps + a.period - 1) / a.period);
  return a;
}

// The phase of pixels first, first + stride, …
inline Phase phase_of(const PhaseAxis& a, int32_t first) {
  const int64_t padded = int64_t{first} + a.pad;
  const auto residue = static_cast<int32_t>(padded % a.stride);
  const auto first_tap = static_cast<int32_t>(int64_t{residue / a.common} * a.inverse % a.period);
  const bool any = residue % a.common == 0 && first_tap < a.taps;
  const int64_t origin = (padded - int64_t{first_tap} * a.dilation) / a.stride;  // exact where there is a tap
  return {.window = {.positions = a.most_pixels,
                     .pixels = a.windows,
                     .stride = 1,
                     .origin = static_cast<int32_t>(origin),
                     .step = -(a.dilation / a.common)},
          .first = first,
          .first_tap = first_tap,
          .taps = any ? (a.taps - 1 - first_tap) / a.period + 1 : 0};
}

}  // namespace graft::cuda
