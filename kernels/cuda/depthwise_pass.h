// A depthwise pass over an image: the convolution, and with another window its gradient by the input.
#pragma once
#include "kernels/cuda/activation.h"
#include "kernels/cuda/depthwise.h"

namespace graft::cuda {

// y = act(Σ over taps of x · weight + bias). In a gradient by the input x is dy and y is dx.
template <typename T>
struct DepthwisePass {
  const T *x, *weight;
  const float* bias;  // nullptr: none
  T* y;
  float* sums;  // [N·slabs, C]: each slab's sum of y as stored; nullptr: not asked for
  DepthwiseAxis rows, columns;
  StripTiling tiling;
  int64_t channels;
  Activation activation = Activation::none;
  bool flipped = false;  // tap (r, s) takes the weight of tap (R − 1 − r, S − 1 − s)
  bool aligned = false, sums_aligned = false;

  __device__ int64_t weight_of(int32_t r, int32_t s) const {
    const int32_t tap = r * columns.taps + s;
    return (flipped ? rows.taps * columns.taps - 1 - tap : tap) * channels;
  }
};

// A thread's place in the grid: its channels, and its slab of an image.
template <int kN>
struct PassPlace {
  int32_t column, lane, n, slab, first_channel, c, first_strip, strips;  // the slab's; first_channel is the block's
  __device__ explicit PassPlace(const StripTiling& t) {
    column = static_cast<int32_t>(threadIdx.x) & ((1 << t.columns_log) - 1);
    lane = static_cast<int32_t>(threadIdx.x) >> t.columns_log;
    const auto slabs = static_cast<uint32_t>(t.slabs), tiles = static_cast<uint32_t>(t.tiles);
    slab = static_cast<int32_t>(blockIdx.x % slabs);
    n = static_cast<int32_t>(blockIdx.x / slabs / tiles);
    first_channel = static_cast<int32_t>(blockIdx.x / slabs % tiles << t.columns_log) * kN;
    c = first_channel + column * kN;
    first_strip = slab * static_cast<int32_t>(t.slab_strips);
    const int32_t rest = t.strips_h * t.strips_w - first_strip, share = static_cast<int32_t>(t.slab_strips);
    strips = rest < share ? rest : share;
  }
};

template <int kN>
__device__ inline Vector<float, kN> bias_of(const float* bias, int64_t c, bool aligned) {
  return bias != nullptr ? load_vector<kN>(bias + c, aligned) : Vector<float, kN>{};
}

// `total` takes in what was stored.
template <typename T, int kN>
__device__ inline void store_output(T* to, const Vector<float, kN>& value, bool aligned, Vector<float, kN>& total) {
  Vector<T, kN> y;
#pragma unroll
  for (int k = 0; k < kN; ++k) {
    y.at[k] = converted<T>(value.at[k]);
    total.at[k] += converted<float>(y.at[k]);
  }
  store_vector(to, y, aligned);
}

// One output by its definition, tap by tap, padding left out.
template <typename T, int kN>
__device__ inline void output_by_taps(const DepthwisePass<T>& a, int64_t n, int32_t h, int32_t w, int32_t c,
                                      bool aligned, Vector<float, kN>& total) {
  Vector<float, kN> sum[1] = {bias_of<kN>(a.bias, c, aligned)};
#pragma unroll 1
  for (TapWalk r(a.rows, h); r.more(a.rows); r.next(a.rows)) {
    if (!inside(r.input, a.rows.input)) continue;
#pragma unroll 1
    for (TapWalk s(a.columns, w); s.more(a.columns); s.next(a.columns)) {
      if (!inside(s.input, a.columns.input)) continue;
      const int64_t at = (n * a.rows.input + r.input) * a.columns.input + s.input;
      const Vector<float, kN> x = load_floats<kN>(a.x + at * a.channels + c, aligned);
      const Vector<float, kN> weight = load_floats<kN>(a.weight + a.weight_of(r.tap, s.tap) + c, aligned);
      for (int k = 0; k < kN; ++k) sum[0].at[k] = fmaf(x.at[k], weight.at[k], sum[0].at[k]);
    }
  }
  activate_all(a.activation, sum);
  const int64_t at = (n * a.rows.output + h) * a.columns.output + w;
  store_output(a.y + at * a.channels + c, sum[0], aligned, total);
}

template <typename T, int kN>
__device__ inline void strip_by_taps(const DepthwisePass<T>& a, int64_t n, int32_t h, int32_t w, int32_t c,
                                     bool aligned, Vector<float, kN>& total) {
#pragma unroll 1
  for (int32_t oh = h; oh < h + a.rows.strip; ++oh)
#pragma unroll 1
    for (int32_t ow = w; ow < w + a.columns.strip; ++ow)
      if (inside(oh, a.rows.output) && inside(ow, a.columns.output))
        output_by_taps<T, kN>(a, n, oh, ow, c, aligned, total);
}

template <typename T, int kN>
__device__ inline void store_slab_sums(const DepthwisePass<T>& a, const Vector<float, kN>& total) {
  if (a.sums == nullptr) return;  // the same for all threads
  const PassPlace<kN> p(a.tiling);
  store_lane_sums(total, a.tiling, a.sums + (p.n * a.tiling.slabs + p.slab) * a.channels + p.first_channel,
                  a.channels - p.first_channel, a.sums_aligned);
}

// A thread's strips of its slab, tap by tap.
template <typename T, int kN>
__device__ inline Vector<float, kN> slab_by_taps(const DepthwisePass<T>& a, const PassPlace<kN>& p) {
  Vector<float, kN> total = {};
#pragma unroll 1
  for (StripWalk s(a.tiling, p.strips - p.lane, 0, p.first_strip + p.lane); s.left > 0; s.next(a.tiling))
    strip_by_taps<T, kN>(a, p.n, s.h * a.rows.strip - a.rows.shift, s.w * a.columns.strip - a.columns.shift, p.c,
                         a.aligned, total);
  return total;
}

// Any window.
template <typename T, int kN>
__global__ __launch_bounds__(kStripThreads, 8) void depthwise_any_kernel(DepthwisePass<T> a) {
  const PassPlace<kN> p(a.tiling);
  Vector<float, kN> total = {};
  if (p.c < a.channels) total = slab_by_taps<T, kN>(a, p);
  store_slab_sums(a, total);
}

// sum[h][w] += Σ over the taps; inputs outside the image are zeros.
template <typename Window, typename T, int kN>
__device__ inline void add_taps(const DepthwisePass<T>& a, const Vector<float, kN>* weights, int32_t column, int64_t n,
                                int32_t ih, int32_t iw, int32_t c,
                                Vector<float, kN> (&sum)[Window::kRows * Window::kColumns]) {
  const int64_t row = a.columns.input * a.channels * (Window::kTransposed ? -1 : 1);
  const int32_t first = Window::kTransposed ? ih + Window::kInputRows - 1 : ih;  // so that taps go from first to last
  const T* pixels = a.x + c + ((n * a.rows.input + first) * a.columns.input + iw) * a.channels;
#pragma unroll
  for (int step = 0; step < Window::kInputRows; ++step, pixels += row) {
    const int i = Window::kTransposed ? Window::kInputRows - 1 - step : step;
    forget(pixels), forget(column);
    if (!inside(ih + i, a.rows.input)) continue;  // and loads of later rows are not begun so early that registers spill
    Vector<float, kN> x[Window::kInputColumns];
#pragma unroll
    for (int j = 0; j < Window::kInputColumns; ++j)
      x[j] = load_floats_if<kN>(pixels + j * a.channels, inside(iw + j, a.columns.input));
#pragma unroll
    for (int h = 0; h < Window::kRows; ++h)
#pragma unroll
      for (int r = 0; r < Window::kTaps; ++r) {
        if (!Window::meets(h, r) || Window::input_of(h, r) != i) continue;
#pragma unroll
        for (int s = 0; s < Window::kTaps; ++s) {
          const Vector<float, kN> weight = load_shared(weights + column + (r * Window::kTaps + s) * kMostColumns);
#pragma unroll
          for (int w = 0; w < Window::kColumns; ++w)
            if (Window::meets(w, s))
#pragma unroll
              for (int k = 0; k < kN; ++k) {
                float& to = sum[h * Window::kColumns + w].at[k];
                to = fmaf(x[Window::input_of(w, s)].at[k], weight.at[k], to);
              }
        }
      }
  }
}

// The windows that networks use. A padded pixel is a zero here, which is the same as one left out unless a weight is
// infinite or NaN: then the block goes tap by tap.
template <typename T, typename Window>
__global__ __launch_bounds__(kStripThreads, Window::kBlocks) void depthwise_kernel(DepthwisePass<T> a) {
  constexpr int kN = kStripChannels, kRows = Window::kRows, kColumns = Window::kColumns;
  constexpr int kTaps = Window::kTaps * Window::kTaps;
  using Floats = Vector<float, kN>;
  GRAFT_SHARED(Floats, weights, [(kTaps + 1) * kMostColumns]);  // [tap][column], and the biases
  const PassPlace<kN> p(a.tiling);
  bool finite = true;
  for (int i = static_cast<int>(threadIdx.x); i < (kTaps + 1) << a.tiling.columns_log; i += kStripThreads) {
    const int tap = i >> a.tiling.columns_log, column = i & ((1 << a.tiling.columns_log) - 1);
    const int32_t c = p.first_channel + column * kN;
    Floats weight = {};
    if (c < a.channels)
      weight = tap == kTaps
                   ? bias_of<kN>(a.bias, c, true)
                   : load_floats<kN>(a.weight + a.weight_of(tap / Window::kTaps, tap % Window::kTaps) + c, true);
    for (int k = 0; k < kN; ++k) finite &= fabsf(weight.at[k]) < INFINITY;
    store_shared(weights + tap * kMostColumns + column, weight);
  }
  const bool by_taps = any_of_block(!finite);  // a barrier, too

  Floats total = {};
  if (p.c < a.channels && by_taps) {
    total = slab_by_taps<T, kN>(a, p);
  } else if (p.c < a.channels) {
#pragma unroll 1
    for (StripWalk s(a.tiling, p.strips - p.lane, 0, p.first_strip + p.lane); s.left > 0; s.next(a.tiling)) {
      const int32_t oh = s.h * kRows - a.rows.shift, ow = s.w * kColumns - a.columns.shift;
      const int32_t ih = Window::first_input(a.rows, oh), iw = Window::first_input(a.columns, ow);
      Floats sum[kRows * kColumns];
      sum[0] = load_shared(weights + kTaps * kMostColumns + p.column);
#pragma unroll
      for (int o = 1; o < kRows * kColumns; ++o) sum[o] = sum[0];
      add_taps<Window>(a, weights, p.column, p.n, ih, iw, p.c, sum);
      activate_all(a.activation, sum);
      T* to = a.y + p.c + ((int64_t{p.n} * a.rows.output + oh) * a.columns.output + ow) * a.channels;
#pragma unroll
      for (int h = 0; h < kRows; ++h, to += a.columns.output * a.channels) {
        forget(to);
#pragma unroll
        for (int w = 0; w < kColumns; ++w)
          if (inside(oh + h, a.rows.output) && inside(ow + w, a.columns.output))
            store_output(to + w * a.channels, sum[h * kColumns + w], true, total);
      }
    }
  }
  store_slab_sums(a, total);
}

// ---- launchers

template <typename Window>
bool is_window(const DepthwiseAxis& a) {
  return a.taps == Window::kTaps && a.stride == Window::kStride && a.dilation == 1 &&
         a.transposed == Window::kTransposed;
}

// What the shapes decide: the kernel's window, if one fits, and how its strips are cut.
struct PassShape {
  DepthwiseAxis rows, columns;
  int64_t images = 0, channels = 0;
  int per_thread = 1;
  int window = -1;  // its place in Windows
  StripTiling tiling;
};

template <typename... Windows>
PassShape pass_shape(DepthwiseAxis rows, DepthwiseAxis columns, int64_t images, int64_t channels) {
  PassShape p{
      .images = images, .channels = channels, .per_thread = channels % kStripChannels == 0 ? kStripChannels : 1};
  int number = 0;
  const auto take = [&]<typename Window>(Window*) {
    if (p.per_thread == kStripChannels && is_window<Window>(rows) && is_window<Window>(columns)) {
      p.window = number;
      rows.strip = Window::kRows, columns.strip = Window::kColumns;
      if (Window::kTransposed) rows.shift = rows.pad % Window::kStride, columns.shift = columns.pad % Window::kStride;
    }
    ++number;
  };
  (take(static_cast<Windows*>(nullptr)), ...);
  p.rows = rows, p.columns = columns;
  p.tiling = strip_tiling(rows, columns, channels / p.per_thread, rows.strips() * columns.strips());
  // Rows that two slabs share are read by both: two rows of strips, then, at least.
  const int64_t least = ceil_div(2 * p.tiling.strips_w, p.tiling.lanes);
  p.tiling.cut(p.tiling.image_strips(), images, least, kMostStrips);
  return p;
}

// Launches `a`, whose tensors are set, with the shapes of `p`, which Windows… made.
template <typename... Windows, typename T>
Status launch_pass(CallContext& call, const char* name, const PassShape& p, DepthwisePass<T> a) {
  const int64_t blocks = p.images * p.tiling.tiles * p.tiling.slabs;
  if (!fits(p.tiling, p.channels, blocks)) return Status::unsupported;
  a.rows = p.rows, a.columns = p.columns, a.tiling = p.tiling, a.channels = p.channels;
  a.aligned = all_aligned(a.x, a.weight, a.bias, a.y), a.sums_aligned = all_aligned(a.sums);
  void (*kernel)(DepthwisePass<T>) =
      p.per_thread == 1 ? depthwise_any_kernel<T, 1> : depthwise_any_kernel<T, kStripChannels>;
  if (a.aligned) {
    int number = 0;
    ((kernel = number++ == p.window ? depthwise_kernel<T, Windows> : kernel), ...);
  }
  return launch(call, {name, dim3(static_cast<unsigned>(blocks)), dim3(kStripThreads)}, kernel, a);
}

// A pass by windows of stride 1 or 2 (depthwise.cu), which the gradient by the input of stride 1 is too.
PassShape forward_shape(const DepthwiseAxis& rows, const DepthwiseAxis& columns, int64_t images, int64_t channels);
template <typename T>
Status launch_forward(CallContext& call, const char* name, const PassShape& p, const DepthwisePass<T>& a);

}  // namespace graft::cuda
