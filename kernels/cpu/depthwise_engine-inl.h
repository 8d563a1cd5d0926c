// Depthwise convolution, direct: a vector of channels by a few pixels of an output row stays in registers while the taps
// pass over it. One load and one multiply-add a tap and vector, so a 3x3 runs at the pace of L1 and the whole is bound
// by memory: x and y once each. The forward pass, and with other weights the gradient by the input.
#if defined(GRAFT_KERNELS_CPU_DEPTHWISE_ENGINE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GRAFT_KERNELS_CPU_DEPTHWISE_ENGINE_INL_H_
#undef GRAFT_KERNELS_CPU_DEPTHWISE_ENGINE_INL_H_
#else
#define GRAFT_KERNELS_CPU_DEPTHWISE_ENGINE_INL_H_
#endif

#include "kernels/cpu/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {

// As ConvProblem (conv_engine-inl.h), with one filter a channel.
struct DepthwiseProblem {
  const float* x;
  int64_t images, h, w, channels, oh, ow;
  int64_t taps_h, taps_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  const float* weight;  // [taps_h][taps_w][channels]
  float* y;
  int64_t y_image, y_row, y_pixel;
  const float* bias = nullptr;
  Activation activation = Activation::none;
};

// Registers hold this many pixels of a vector.
inline constexpr int kSegment = kLanes == 16 ? 14 : kLanes == 8 ? 12 : 8;

// Pixels [ox, ox + N) of output row oy, channels [c, c + n); n == kLanes unless kTail.
template <int N, bool kTail>
HWY_NOINLINE void depthwise_segment(const DepthwiseProblem& p, int64_t image, int64_t oy, int64_t ox, int64_t c, int64_t n) {
  const auto get = [n](const float* from) HWY_ATTR __attribute__((always_inline)) {
    if constexpr (kTail) return load_n(from, n);
    return load(from);
  };
  V sum[N];
  const V bias = p.bias != nullptr ? get(p.bias + c) : zero();
  GRAFT_UNROLL for (int i = 0; i < N; ++i) sum[i] = bias;

  const int64_t step = p.stride_w * p.channels;
  for (int64_t r = 0; r < p.taps_h; ++r) {
    const int64_t iy = oy * p.stride_h - p.pad_top + r * p.dilation_h;
    if (iy < 0 || iy >= p.h) continue;
    const float* row = p.x + (image * p.h + iy) * p.w * p.channels + c;
    for (int64_t s = 0; s < p.taps_w; ++s) {
      const int64_t ix = ox * p.stride_w - p.pad_left + s * p.dilation_w;
      const V k = get(p.weight + (r * p.taps_w + s) * p.channels + c);
      if (ix >= 0 && ix + (N - 1) * p.stride_w < p.w) {
        const float* from = row + ix * p.channels;
        GRAFT_UNROLL for (int i = 0; i < N; ++i) sum[i] = fma(get(from + i * step), k, sum[i]);
      } else {
        GRAFT_UNROLL for (int i = 0; i < N; ++i) {
          const int64_t at = ix + i * p.stride_w;
          if (at >= 0 && at < p.w) sum[i] = fma(get(row + at * p.channels), k, sum[i]);
        }
      }
    }
  }

  const Limits limits = limits_of(p.activation);
  const V low = set(limits.low), high = set(limits.high);
  float* to = p.y + image * p.y_image + oy * p.y_row + ox * p.y_pixel + c;
  GRAFT_UNROLL for (int i = 0; i < N; ++i) {
    const V y = clamp(sum[i], low, high);
    if constexpr (kTail)
      store_n(y, to + i * p.y_pixel, n);
    else
      store(y, to + i * p.y_pixel);
  }
  if (needs_exp(p.activation)) activate_rows(to, p.y_pixel, N, n, p.activation);
}

template <bool kTail>
HWY_INLINE void depthwise_row(const DepthwiseProblem& p, int64_t image, int64_t oy, int64_t c, int64_t n) {
  int64_t ox = 0;
  for (; ox + kSegment <= p.ow; ox += kSegment) depthwise_segment<kSegment, kTail>(p, image, oy, ox, c, n);
  for (; ox + kSegment / 2 <= p.ow; ox += kSegment / 2) depthwise_segment<kSegment / 2, kTail>(p, image, oy, ox, c, n);
  for (; ox + 2 <= p.ow; ox += 2) depthwise_segment<2, kTail>(p, image, oy, ox, c, n);
  for (; ox < p.ow; ++ox) depthwise_segment<1, kTail>(p, image, oy, ox, c, n);
}

// A task is a band of output rows of one image and a share of the channels. Within it a vector of channels passes over
// all its rows before the next, while the band's input is in L2.
inline void run_depthwise(ThreadPool& pool, const DepthwiseProblem& p) {
  if (p.images * p.oh * p.ow * p.channels == 0) return;
  constexpr int64_t kWanted = 16, kRows = 7;
  const int64_t vectors = ceil_div(p.channels, kLanes), bands = ceil_div(p.oh, kRows);
  const int64_t shares = std::clamp<int64_t>(ceil_div(kWanted, p.images * bands), 1, ceil_div(vectors, 4));
  pool.parallel_for(p.images * bands * shares, [&](int64_t task, int) HWY_ATTR {
    const int64_t share = task % shares, band = task / shares % bands, image = task / shares / bands;
    const int64_t end = std::min(p.oh, (band + 1) * kRows);
    for (int64_t v = vectors * share / shares; v < vectors * (share + 1) / shares; ++v) {
      const int64_t c = v * kLanes, n = std::min<int64_t>(kLanes, p.channels - c);
      for (int64_t oy = band * kRows; oy < end; ++oy) {
        if (n == kLanes)
          depthwise_row<false>(p, image, oy, c, n);
        else
          depthwise_row<true>(p, image, oy, c, n);
      }
    }
  });
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
