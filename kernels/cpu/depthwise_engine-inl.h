// Depthwise convolution, direct: a vector of channels by a few pixels of an output row stays in registers while the
// taps pass over it. One load and one multiply-add a tap and vector, so a 3x3 runs at the pace of L1 and the whole is
// bound by memory: x and y once each. The forward pass, and with other weights the gradient by the input.
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
  float* sums = nullptr;  // [images][bands][channels]: of each band's pixels of y, if wanted
};

inline constexpr int64_t kBandRows = 7;  // of outputs: a task's

// Registers hold this many pixels of a vector.
inline constexpr int kSegment = kLanes == 16 ? 14 : kLanes == 8 ? 12 : 8;

// Pixels [ox, ox + N) of output row oy, channels [c, c + n); n == kLanes unless kTail. More than one pixel: no tap of
// theirs leaves the image sideways.
template <int N, bool kTail>
HWY_NOINLINE void depthwise_segment(const DepthwiseProblem& p, int64_t image, int64_t oy, int64_t ox, int64_t c,
                                    int64_t n) {
  const auto get = [n](const float* from) HWY_ATTR __attribute__((always_inline)) {
    if constexpr (kTail) return load_n(from, n);
    return load(from);
  };
  V sum[N];
  const V bias = p.bias != nullptr ? get(p.bias + c) : zero();
  GRAFT_UNROLL for (int i = 0; i < N; ++i) sum[i] = bias;

  constexpr int kPointers = (N + 2) / 3;  // one for three pixels: x86 addresses the others from it
  const int64_t step = p.stride_w * p.channels;
  for (int64_t r = 0; r < p.taps_h; ++r) {
    const int64_t iy = oy * p.stride_h - p.pad_top + r * p.dilation_h;
    if (iy < 0 || iy >= p.h) continue;
    const float* row = p.x + (image * p.h + iy) * p.w * p.channels + c;
    const float* weight = p.weight + r * p.taps_w * p.channels + c;
    for (int64_t s = 0; s < p.taps_w; ++s, weight += p.channels) {
      const int64_t ix = ox * p.stride_w - p.pad_left + s * p.dilation_w;
      if (N == 1 && (ix < 0 || ix >= p.w)) continue;
      const V k = get(weight);
      const float* from[kPointers];
      GRAFT_UNROLL for (int q = 0; q < kPointers; ++q) from[q] = row + ix * p.channels + 3 * q * step;
      GRAFT_UNROLL for (int i = 0; i < N; ++i) sum[i] = fma(get(from[i / 3] + i % 3 * step), k, sum[i]);
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

// All channels of a segment, then the next segment: its rows are contiguous memory and stay in L1.
template <int N>
HWY_INLINE void depthwise_pixels(const DepthwiseProblem& p, int64_t image, int64_t oy, int64_t ox, int64_t first,
                                 int64_t end) {
  int64_t c = first;
  for (; c + kLanes <= end; c += kLanes) depthwise_segment<N, false>(p, image, oy, ox, c, kLanes);
  if (c < end) depthwise_segment<N, true>(p, image, oy, ox, c, end - c);
}

// The pixels whose windows lie inside, in segments of N; a last one that does not fit overlaps its neighbour and
// stores the same values again. Returns where it stopped.
template <int N>
HWY_INLINE int64_t depthwise_inside(const DepthwiseProblem& p, int64_t image, int64_t oy, int64_t ox, int64_t hi,
                                    int64_t first, int64_t end) {
  if (hi - ox < N) return ox;
  for (; ox + N <= hi; ox += N) depthwise_pixels<N>(p, image, oy, ox, first, end);
  if (ox < hi) depthwise_pixels<N>(p, image, oy, hi - N, first, end);
  return hi;
}

inline void depthwise_row(const DepthwiseProblem& p, int64_t image, int64_t oy, int64_t first, int64_t end) {
  const int64_t reach = p.w - 1 - (p.taps_w - 1) * p.dilation_w + p.pad_left;  // of the last window inside
  const int64_t lo = std::clamp<int64_t>(ceil_div(std::max<int64_t>(p.pad_left, 0), p.stride_w), 0, p.ow);
  const int64_t hi = reach < 0 ? lo : std::clamp<int64_t>(reach / p.stride_w + 1, lo, p.ow);
  int64_t ox = 0;
  for (; ox < lo; ++ox) depthwise_pixels<1>(p, image, oy, ox, first, end);
  ox = depthwise_inside<kSegment>(p, image, oy, ox, hi, first, end);
  ox = depthwise_inside<kSegment / 2>(p, image, oy, ox, hi, first, end);
  ox = depthwise_inside<2>(p, image, oy, ox, hi, first, end);
  for (; ox < p.ow; ++ox) depthwise_pixels<1>(p, image, oy, ox, first, end);
}

// The sums of a band's pixels, which have just been stored, for `kVectors` vectors of channels (the last of n).
template <int kVectors>
HWY_INLINE void band_sums(const DepthwiseProblem& p, int64_t image, int64_t band, int64_t c, int64_t n) {
  V sum[kVectors];
  GRAFT_UNROLL for (int v = 0; v < kVectors; ++v) sum[v] = zero();
  for (int64_t oy = band * kBandRows; oy < std::min(p.oh, (band + 1) * kBandRows); ++oy) {
    const float* y = p.y + image * p.y_image + oy * p.y_row + c;
    for (int64_t ox = 0; ox < p.ow; ++ox, y += p.y_pixel)
      GRAFT_UNROLL for (int v = 0; v < kVectors; ++v) sum[v] =
          add(sum[v], kVectors == 1 ? load_up_to(y, n) : load(y + v * kLanes));
  }
  float* to = p.sums + (image * ceil_div(p.oh, kBandRows) + band) * p.channels + c;
  GRAFT_UNROLL for (int v = 0; v < kVectors; ++v) if (kVectors == 1) store_up_to(sum[v], to, n);
  else store(sum[v], to + v * kLanes);
}

// A task is a band of output rows of one image and a share of the channels.
inline void run_depthwise(ThreadPool& pool, const DepthwiseProblem& p) {
  if (p.images * p.oh * p.ow * p.channels == 0) return;
  constexpr int64_t kWanted = 16;
  const int64_t vectors = ceil_div(p.channels, kLanes), bands = ceil_div(p.oh, kBandRows);
  const int64_t shares = std::clamp<int64_t>(ceil_div(kWanted, p.images * bands), 1, ceil_div(vectors, 4));
  pool.parallel_for(p.images * bands * shares, [&](int64_t task, int) HWY_ATTR {
    const int64_t share = task % shares, band = task / shares % bands, image = task / shares / bands;
    const int64_t first = vectors * share / shares * kLanes;
    const int64_t end = std::min(p.channels, vectors * (share + 1) / shares * kLanes);
    for (int64_t oy = band * kBandRows; oy < std::min(p.oh, (band + 1) * kBandRows); ++oy)
      depthwise_row(p, image, oy, first, end);
    if (p.sums == nullptr) return;
    int64_t c = first;
    for (; c + 4 * kLanes <= end; c += 4 * kLanes) band_sums<4>(p, image, band, c, kLanes);
    for (; c < end; c += kLanes) band_sums<1>(p, image, band, c, std::min<int64_t>(kLanes, end - c));
  });
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
