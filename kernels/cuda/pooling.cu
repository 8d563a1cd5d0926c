// Pooling: the largest or the mean pixel of each window, windows that slide or divide the image evenly; NHWC.
//
// A thread makes 16 bytes of channels of one output pixel (one channel, where they do not divide C): a warp reads
// neighbouring channels, then neighbouring pixels. Gradients are gathered: a thread owns a pixel of dx and visits the
// windows over it, in row order, so that no two threads write one place and sums have one order.
//
// Memory traffic: x once and y once (index: a byte more an element), and back dy once (index too) and dx once. Windows
// that overlap read a pixel up to ⌈R/stride⌉·⌈S/stride⌉ times; the threads that do so are neighbours, and L1 and L2
// serve them.
//
// Large windows with a mean (the global mean above all) have few outputs: there the threads of a column of a block
// share a window, and meet in shared memory.
#include "kernels/cuda/columns.h"
#include "kernels/cuda/cuda_backend.h"

namespace graft::cuda {

namespace {
__device__ inline int64_t thread_index() { return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; }
}  // namespace

// One axis of a pooling: which inputs each output's window holds, and which outputs have an input in their window.
// Ranges are half open, and of real pixels only.
//   sliding   [o·stride − pad, o·stride − pad + taps)
//   adaptive  [⌊o·input / output⌋, ⌈(o+1)·input / output⌉), which read backwards is itself with both sides exchanged
struct PoolAxis {
  int64_t input = 0, output = 0;
  int32_t taps = 0, stride = 1, pad = 0;  // taps 0: adaptive

  __device__ int64_t begin(int64_t o) const {
    if (taps == 0) return o * input / output;
    const int64_t first = o * stride - pad;
    return first < 0 ? 0 : first;
  }
  __device__ int64_t end(int64_t o) const {
    if (taps == 0) return ((o + 1) * input + output - 1) / output;
    const int64_t last = o * stride - pad + taps;
    return last < input ? last : input;
  }
  __device__ int64_t first_over(int64_t i) const {
    if (taps == 0) return i * output / input;
    const int64_t reach = i + pad - taps;  // the windows that begin after it
    return reach < 0 ? 0 : reach / stride + 1;
  }
  __device__ int64_t end_over(int64_t i) const {
    if (taps == 0) return ((i + 1) * output + input - 1) / input;
    const int64_t last = (i + pad) / stride + 1;
    return last < output ? last : output;
  }
  __device__ unsigned tap(int64_t o, int64_t i) const { return static_cast<unsigned>(i - o * stride + pad); }
};

// Where a thread's vector lies: channel c of pixel (h, w) of an image.
struct Place {
  int64_t n, h, w, c;
};
template <int kN>
__device__ inline Place place_of(int64_t thread, int64_t channels, int64_t height, int64_t width) {
  const int64_t wide = channels / kN, pixel = thread / wide;
  return {pixel / width / height, pixel / width % height, pixel % width, thread % wide * kN};
}

struct Pooling {
  PoolAxis rows, columns;
  int64_t channels = 0, threads = 0;  // C; vectors of the output (forward) or of dx (backward)
  float divisor = 0;                  // of a mean; 0: the real pixels of the window
  bool aligned = false;

  __device__ float pixels(int64_t h, int64_t w) const {
    if (divisor != 0) return divisor;
    return static_cast<float>((rows.end(h) - rows.begin(h)) * (columns.end(w) - columns.begin(w)));
  }
  // r·S + s of input pixel (ih, iw) in the window of output pixel (oh, ow)
  __device__ unsigned number(int64_t oh, int64_t ow, int64_t ih, int64_t iw) const {
    return rows.tap(oh, ih) * static_cast<unsigned>(columns.taps) + columns.tap(ow, iw);
  }

  // visit(ih, iw, at) for each pixel in the window of an output's place, in row order; its vector begins at `at`.
  template <typename Visit>
  __device__ void in_window(const Place& y, const Visit& visit) const {
    const int64_t bottom = rows.end(y.h), left = columns.begin(y.w), right = columns.end(y.w);
    for (int64_t ih = rows.begin(y.h); ih < bottom; ++ih)
      for (int64_t iw = left; iw < right; ++iw)
        visit(ih, iw, ((y.n * rows.input + ih) * columns.input + iw) * channels + y.c);
  }
  // visit(oh, ow, at) for each output whose window holds a place of dx, in row order.
  template <typename Visit>
  __device__ void windows_over(const Place& x, const Visit& visit) const {
    const int64_t bottom = rows.end_over(x.h), left = columns.first_over(x.w), right = columns.end_over(x.w);
    for (int64_t oh = rows.first_over(x.h); oh < bottom; ++oh)
#pragma unroll 1  // one window or a few; four at once take twice the registers
      for (int64_t ow = left; ow < right; ++ow)
        visit(oh, ow, ((x.n * rows.output + oh) * columns.output + ow) * channels + x.c);
  }
};

// ---- maximum

// Of equals the first in row order; NaN wins, the first of several. index: nullptr if not asked for.
template <typename T, int kN>
__global__ __launch_bounds__(kThreads) void max_pool_kernel(const T* x, T* y, uint8_t* index, Pooling p) {
  const int64_t thread = thread_index();
  if (thread >= p.threads) return;
  const Place place = place_of<kN>(thread, p.channels, p.rows.output, p.columns.output);
  Vector<float, kN> best = {};
  Vector<uint8_t, kN> winner = {};
  bool first = true;
  p.in_window(place, [&](int64_t ih, int64_t iw, int64_t at) {
    const Vector<float, kN> pixel = load_floats<kN>(x + at, p.aligned);
    const auto number = static_cast<uint8_t>(p.number(place.h, place.w, ih, iw));
    for (int k = 0; k < kN; ++k)
      if (first || pixel.at[k] > best.at[k] || (pixel.at[k] != pixel.at[k] && best.at[k] == best.at[k]))
        best.at[k] = pixel.at[k], winner.at[k] = number;
    first = false;
  });
  store_floats(y + thread * kN, best, p.aligned);
  if (index != nullptr) store_vector(index + thread * kN, winner, p.aligned);
}

// dx = Σ dy over the windows whose winner this pixel is
template <typename T, int kN>
__global__ __launch_bounds__(kThreads) void max_pool_backward_kernel(const T* dy, const uint8_t* index, T* dx,
                                                                     Pooling p) {
  const int64_t thread = thread_index();
  if (thread >= p.threads) return;
  const Place place = place_of<kN>(thread, p.channels, p.rows.input, p.columns.input);
  Vector<float, kN> sum = {};
  p.windows_over(place, [&](int64_t oh, int64_t ow, int64_t at) {
    const Vector<uint8_t, kN> winner = load_vector<kN>(index + at, p.aligned);
    const Vector<float, kN> g = load_floats<kN>(dy + at, p.aligned);
    const unsigned self = p.number(oh, ow, place.h, place.w);
    for (int k = 0; k < kN; ++k) sum.at[k] += winner.at[k] == self ? g.at[k] : 0.0f;
  });
  store_floats(dx + thread * kN, sum, p.aligned);
}

// ---- mean

template <typename T, int kN>
__global__ __launch_bounds__(kThreads) void mean_pool_kernel(const T* x, T* y, Pooling p) {
  const int64_t thread = thread_index();
  if (thread >= p.threads) return;
  const Place place = place_of<kN>(thread, p.channels, p.rows.output, p.columns.output);
  Vector<float, kN> sum = {};
  p.in_window(place, [&](int64_t, int64_t, int64_t at) {
    const Vector<float, kN> pixel = load_floats<kN>(x + at, p.aligned);
    for (int k = 0; k < kN; ++k) sum.at[k] += pixel.at[k];
  });
  const float pixels = p.pixels(place.h, place.w);
  for (int k = 0; k < kN; ++k) sum.at[k] /= pixels;
  store_floats(y + thread * kN, sum, p.aligned);
}

struct PixelSum {
  float sum = 0;
  __device__ void merge(const PixelSum& other) { sum += other.sum; }
};

// A block makes one tile of the channels of one output pixel; its row of threads l adds the window's pixels l, l +
// lanes, …
template <typename T, int kN>
__global__ __launch_bounds__(kThreads) void mean_of_large_windows_kernel(const T* x, T* y, Pooling p, int64_t tiles) {
  const int64_t pixel = blockIdx.x / tiles, c = (blockIdx.x % tiles * blockDim.x + threadIdx.x) * kN;
  const int64_t w = pixel % p.columns.output, h = pixel / p.columns.output % p.rows.output;
  const int64_t n = pixel / p.columns.output / p.rows.output;
  const int64_t top = p.rows.begin(h), left = p.columns.begin(w), width = p.columns.end(w) - left;
  const int64_t count = (p.rows.end(h) - top) * width;
  PixelSum sums[kN];
  if (c < p.channels)
    for (int64_t i = threadIdx.y; i < count; i += blockDim.y) {
      const int64_t ih = top + i / width, iw = left + i % width;
      const Vector<float, kN> v =
          load_floats<kN>(x + ((n * p.rows.input + ih) * p.columns.input + iw) * p.channels + c, p.aligned);
      for (int k = 0; k < kN; ++k) sums[k].sum += v.at[k];
    }
  merge_lanes<PixelSum, kN>(sums);
  if (threadIdx.y != 0 || c >= p.channels) return;
  Vector<float, kN> mean;
  for (int k = 0; k < kN; ++k) mean.at[k] = sums[k].sum / p.pixels(h, w);
  store_floats(y + pixel * p.channels + c, mean, p.aligned);
}

// dx = Σ dy / pixels over the windows that hold this pixel. (ptxas left to itself spills for the sake of a fifth
// block.)
template <typename T, int kN>
__global__ __launch_bounds__(kThreads, 2) void mean_pool_backward_kernel(const T* dy, T* dx, Pooling p) {
  const int64_t thread = thread_index();
  if (thread >= p.threads) return;
  const Place place = place_of<kN>(thread, p.channels, p.rows.input, p.columns.input);
  Vector<float, kN> sum = {};
  p.windows_over(place, [&](int64_t oh, int64_t ow, int64_t at) {
    const Vector<float, kN> g = load_floats<kN>(dy + at, p.aligned);
    const float share = 1 / p.pixels(oh, ow);
    for (int k = 0; k < kN; ++k) sum.at[k] += g.at[k] * share;
  });
  store_floats(dx + thread * kN, sum, p.aligned);
}

// ---- launchers

Pooling sliding(const Shape& image, const Shape& output, const PoolParams& p) {
  const int64_t all = int64_t{p.window.h} * p.window.w;
  return {.rows = {image[1], output[1], p.window.h, p.stride.h, p.pad.top},
          .columns = {image[2], output[2], p.window.w, p.stride.w, p.pad.left},
          .channels = image[3],
          .divisor = p.count_include_pad ? static_cast<float>(all) : 0.0f};
}
Pooling adaptive(const Shape& image, const Shape& output) {
  return {.rows = {.input = image[1], .output = output[1]},
          .columns = {.input = image[2], .output = output[2]},
          .channels = image[3]};
}

// A thread a vector of `made`, the tensor that is written.
template <typename T, typename Kernel, typename... Tensors>
Status launch_pooling(CallContext& call, const char* name, Pooling p, int64_t made, Kernel* wide, Kernel* narrow,
                      Tensors*... tensors) {
  const bool vectors = p.channels % kPerVector<T> == 0;
  p.threads = made / (vectors ? kPerVector<T> : 1);
  p.aligned = all_aligned(tensors...);
  const LaunchConfig config{name, dim3(static_cast<unsigned>(ceil_div(p.threads, kThreads))), dim3(kThreads)};
  return launch(call, config, vectors ? wide : narrow, tensors..., p);
}

template <typename T>
Status max_pool(CallContext& call, const MaxPoolArgs& a) {
  return launch_pooling<T>(call, "max_pool", sliding(a.x.shape, a.y.shape, a.pool), a.y.numel(),
                           max_pool_kernel<T, kPerVector<T>>, max_pool_kernel<T, 1>, a.x.as<const T>(), a.y.as<T>(),
                           a.index.as<uint8_t>());
}
template <typename T>
Status max_pool_backward(CallContext& call, const MaxPoolBackwardArgs& a) {
  return launch_pooling<T>(call, "max_pool_backward", sliding(a.dx.shape, a.dy.shape, a.pool), a.dx.numel(),
                           max_pool_backward_kernel<T, kPerVector<T>>, max_pool_backward_kernel<T, 1>,
                           a.dy.as<const T>(), a.index.as<const uint8_t>(), a.dx.as<T>());
}

constexpr int64_t kLargeWindow = 32;  // pixels: a few for each of a block's rows of threads

template <typename T>
Status mean_pool(CallContext& call, const char* name, Pooling p, int64_t window, const TensorView& x,
                 const TensorView& y) {
  const auto* from = x.as<const T>();
  auto* to = y.as<T>();
  if (window < kLargeWindow || y.numel() == 0)
    return launch_pooling<T>(call, name, p, y.numel(), mean_pool_kernel<T, kPerVector<T>>, mean_pool_kernel<T, 1>, from,
                             to);
  const Tiling t = tiling_of(dtype_of<T>, window, p.channels);
  p.aligned = all_aligned(from, to);
  const int64_t blocks = y.shape.rows() * t.tiles;
  const LaunchConfig config{name, dim3(static_cast<unsigned>(blocks)), t.block()};
  return launch(call, config,
                t.per_thread == 1 ? mean_of_large_windows_kernel<T, 1> : mean_of_large_windows_kernel<T, kPerVector<T>>,
                from, to, p, t.tiles);
}
template <typename T>
Status mean_pool_backward(CallContext& call, const char* name, const Pooling& p, const TensorView& dy,
                          const TensorView& dx) {
  return launch_pooling<T>(call, name, p, dx.numel(), mean_pool_backward_kernel<T, kPerVector<T>>,
                           mean_pool_backward_kernel<T, 1>, dy.as<const T>(), dx.as<T>());
}

template <typename T>
Status avg_pool(CallContext& call, const AvgPoolArgs& a) {
  return mean_pool<T>(call, "avg_pool", sliding(a.x.shape, a.y.shape, a.pool),
                      int64_t{a.pool.window.h} * a.pool.window.w, a.x, a.y);
}
template <typename T>
Status avg_pool_backward(CallContext& call, const AvgPoolBackwardArgs& a) {
  return mean_pool_backward<T>(call, "avg_pool_backward", sliding(a.dx.shape, a.dy.shape, a.pool), a.dy, a.dx);
}
template <typename T>
Status adaptive_avg_pool(CallContext& call, const AdaptiveAvgPoolArgs& a) {
  const Shape &x = a.x.shape, &y = a.y.shape;
  return mean_pool<T>(call, "adaptive_avg_pool", adaptive(x, y), ceil_div(x[1], y[1]) * ceil_div(x[2], y[2]), a.x, a.y);
}
template <typename T>
Status adaptive_avg_pool_backward(CallContext& call, const AdaptiveAvgPoolBackwardArgs& a) {
  return mean_pool_backward<T>(call, "adaptive_avg_pool_backward", adaptive(a.dx.shape, a.dy.shape), a.dy, a.dx);
}

void enter_pooling(KernelTable& table) {
  enter<MaxPoolArgs, max_pool<float>, max_pool<__nv_bfloat16>, max_pool<__half>>(table);
  enter<MaxPoolBackwardArgs, max_pool_backward<float>, max_pool_backward<__nv_bfloat16>>(table);
  enter<AvgPoolArgs, avg_pool<float>, avg_pool<__nv_bfloat16>, avg_pool<__half>>(table);
  enter<AvgPoolBackwardArgs, avg_pool_backward<float>, avg_pool_backward<__nv_bfloat16>>(table);
  enter<AdaptiveAvgPoolArgs, adaptive_avg_pool<float>, adaptive_avg_pool<__nv_bfloat16>, adaptive_avg_pool<__half>>(
      table);
  enter<AdaptiveAvgPoolBackwardArgs, adaptive_avg_pool_backward<float>, adaptive_avg_pool_backward<__nv_bfloat16>>(
      table);
}

}  // namespace graft::cuda
