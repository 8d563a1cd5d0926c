// The gradient of a depthwise convolution by its weights:
//
//   dweight[r,s,c] = Σ_{n,h,w} x[n, h·stride − pad + r·dilation, w·stride − pad + s·dilation, c] · dy[n,h,w,c]
//
// Memory traffic: x and dy once each; and R·S floats a channel of each slab twice. A thread holds all R·S sums of its
// channels in registers and walks along a slab of strips of dy: the pixels of x that a strip's windows cover serve all
// its products. The sums of a block's lanes meet in shared memory, the slabs in a second kernel: an order that the
// shape alone decides.
//
// 3x3 and 5x5, strides 1 and 2, and channels in fours (twos in 5x5, whose 25 sums a channel fill the registers): these.
// The rest, and tensors that begin off a 16-byte border, goes tap by tap over the same slabs in the same order, and
// reads x and dy R·S times from L2.
#include "kernels/cuda/depthwise.h"

namespace graft::cuda {

template <typename T>
struct WeightGradient {
  const T *x, *dy;
  float* partial;  // [slabs, R·S·C]
  DepthwiseAxis rows, columns;
  StripTiling tiling;
  int64_t channels, strips;  // of all images
  bool aligned;
};

template <typename T, int kN>
struct WeightGradientPlace {
  int32_t slab, first_channel, c, strips;  // strips: left from the thread's first
  int64_t first;
  __device__ explicit WeightGradientPlace(const WeightGradient<T>& a) {
    const StripTiling& t = a.tiling;
    const auto tiles = static_cast<uint32_t>(t.tiles);
    slab = static_cast<int32_t>(blockIdx.x / tiles);
    first_channel = static_cast<int32_t>(blockIdx.x % tiles << t.columns_log) * kN;
    c = first_channel + (static_cast<int32_t>(threadIdx.x) & ((1 << t.columns_log) - 1)) * kN;
    const int64_t begin = slab * t.slab_strips, rest = a.strips - begin;
    const int32_t lane = static_cast<int32_t>(threadIdx.x) >> t.columns_log;
    first = begin + lane;
    strips = static_cast<int32_t>(rest < t.slab_strips ? rest : t.slab_strips) - lane;
  }
  __device__ StripWalk walk(const StripTiling& t) const {
    const int64_t image = t.image_strips();
    return {t, strips, first / image, first % image};
  }
};

// One tap's products over a thread's strips, by definition: padding left out.
template <typename T, int kN>
__device__ inline void add_tap(const WeightGradient<T>& a, const WeightGradientPlace<T, kN>& p, int32_t r, int32_t s,
                               Vector<float, kN>& sum) {
#pragma unroll 1
  for (StripWalk at = p.walk(a.tiling); at.left > 0; at.next(a.tiling))
#pragma unroll 1
    for (int32_t oh = at.h * a.rows.strip; oh < (at.h + 1) * a.rows.strip && oh < a.rows.output; ++oh) {
      const int32_t ih = oh * a.rows.stride - a.rows.pad + r * a.rows.dilation;
      if (!inside(ih, a.rows.input)) continue;
#pragma unroll 1
      for (int32_t ow = at.w * a.columns.strip; ow < (at.w + 1) * a.columns.strip && ow < a.columns.output; ++ow) {
        const int32_t iw = ow * a.columns.stride - a.columns.pad + s * a.columns.dilation;
        if (!inside(iw, a.columns.input)) continue;
        const int64_t x_pixel = (at.n * a.rows.input + ih) * a.columns.input + iw;
        const int64_t dy_pixel = (at.n * a.rows.output + oh) * a.columns.output + ow;
        const Vector<float, kN> x = load_floats<kN>(a.x + x_pixel * a.channels + p.c, a.aligned);
        const Vector<float, kN> dy = load_floats<kN>(a.dy + dy_pixel * a.channels + p.c, a.aligned);
        for (int k = 0; k < kN; ++k) sum.at[k] = fmaf(x.at[k], dy.at[k], sum.at[k]);
      }
    }
}

template <typename T, int kN>
__device__ inline void store_tap(const WeightGradient<T>& a, const WeightGradientPlace<T, kN>& p, int tap,
                                 const Vector<float, kN>& sum) {
  const int64_t row = int64_t{p.slab} * a.rows.taps * a.columns.taps + tap;
  store_lane_sums(sum, a.tiling, a.partial + row * a.channels + p.first_channel, a.channels - p.first_channel, true);
}

template <typename T, int kN>
__device__ inline void slab_by_taps(const WeightGradient<T>& a, const WeightGradientPlace<T, kN>& p) {
#pragma unroll 1
  for (int tap = 0; tap < a.rows.taps * a.columns.taps; ++tap) {
    Vector<float, kN> sum = {};
    if (p.c < a.channels) add_tap(a, p, tap / a.columns.taps, tap % a.columns.taps, sum);
    store_tap(a, p, tap, sum);
  }
}

// Any window.
template <typename T, int kN>
__global__ __launch_bounds__(kStripThreads, 8) void depthwise_any_weight_gradient_kernel(WeightGradient<T> a) {
  slab_by_taps(a, WeightGradientPlace<T, kN>(a));
}

// sums[r·S + s] += the strip's products; pixels outside x or dy are zeros.
template <typename Window, typename T, int kN>
__device__ inline void add_strip(const WeightGradient<T>& a, const StripWalk& at, int32_t c,
                                 Vector<float, kN> (&sums)[Window::kTaps * Window::kTaps]) {
  const int32_t oh = at.h * Window::kRows, ow = at.w * Window::kColumns;
  const int32_t ih = Window::first_input(a.rows, oh), iw = Window::first_input(a.columns, ow);
  Vector<float, kN> dy[Window::kRows * Window::kColumns];
  const T* pixels = a.dy + c + ((at.n * a.rows.output + oh) * a.columns.output + ow) * a.channels;
#pragma unroll
  for (int h = 0; h < Window::kRows; ++h, pixels += a.columns.output * a.channels) {
    forget(pixels);
#pragma unroll
    for (int w = 0; w < Window::kColumns; ++w)
      dy[h * Window::kColumns + w] = load_floats_if<kN>(
          pixels + w * a.channels, inside(oh + h, a.rows.output) && inside(ow + w, a.columns.output));
  }
  pixels = a.x + c + ((at.n * a.rows.input + ih) * a.columns.input + iw) * a.channels;
#pragma unroll
  for (int i = 0; i < Window::kInputRows; ++i, pixels += a.columns.input * a.channels) {
    forget(pixels);
    if (!inside(ih + i, a.rows.input)) continue;
    Vector<float, kN> x[Window::kInputColumns];
#pragma unroll
    for (int j = 0; j < Window::kInputColumns; ++j)
      x[j] = load_floats_if<kN>(pixels + j * a.channels, inside(iw + j, a.columns.input));
#pragma unroll
    for (int h = 0; h < Window::kRows; ++h) {
      const int r = i - h * Window::kStride;
      if (r < 0 || r >= Window::kTaps) continue;
#pragma unroll
      for (int s = 0; s < Window::kTaps; ++s)
#pragma unroll
        for (int w = 0; w < Window::kColumns; ++w)
#pragma unroll
          for (int k = 0; k < kN; ++k) {
            float& to = sums[r * Window::kTaps + s].at[k];
            to = fmaf(x[Window::input_of(w, s)].at[k], dy[h * Window::kColumns + w].at[k], to);
          }
    }
  }
}

// The windows that networks use. A pixel outside is a zero here, and differs from one that is left out only where its
// partner is infinite or NaN: there a sum becomes NaN, and the block's slab is summed again, tap by tap.
template <typename T, int kN, typename Window>
__global__ __launch_bounds__(kStripThreads, 4) void depthwise_weight_gradient_kernel(WeightGradient<T> a) {
  constexpr int kTaps = Window::kTaps * Window::kTaps;
  const WeightGradientPlace<T, kN> p(a);
  Vector<float, kN> sums[kTaps] = {};
  if (p.c < a.channels)
#pragma unroll 1
    for (StripWalk at = p.walk(a.tiling); at.left > 0; at.next(a.tiling)) add_strip<Window>(a, at, p.c, sums);
  bool is_nan = false;
#pragma unroll
  for (int tap = 0; tap < kTaps; ++tap)
#pragma unroll
    for (int k = 0; k < kN; ++k) is_nan |= sums[tap].at[k] != sums[tap].at[k];
  if (any_of_block(is_nan)) return slab_by_taps(a, p);
#pragma unroll
  for (int tap = 0; tap < kTaps; ++tap) store_tap(a, p, tap, sums[tap]);
}

// dweight[i] = Σ over the slabs
__global__ __launch_bounds__(kThreads) void depthwise_weight_slabs_kernel(Planes partial, float* dweight) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  Sum sum;
  if (merge_slabs(
          partial, i, [&](int64_t slab) { return Sum{load(partial.at(0, slab, i))}; }, &sum))
    store(dweight + i, sum.value);
}

// ---- launchers

using Weights3x3 = ForwardWindow<3, 1, 2, 4>;
using Weights3x3Stride2 = ForwardWindow<3, 2, 2, 4>;
using Weights5x5 = ForwardWindow<5, 1, 2, 4>;
using Weights5x5Stride2 = ForwardWindow<5, 2, 2, 4>;

struct WeightShape {
  DepthwiseAxis rows, columns;
  int per_thread = 1, taps = 0, stride = 0;  // taps 0: any window
  int64_t strips = 0, floats = 0;            // R·S·C
  StripTiling tiling;
  int64_t partial_bytes() const { return tiling.slabs * floats * static_cast<int64_t>(sizeof(float)); }
};

bool shape_of(const DepthwiseConv2dBackwardWeightArgs& a, WeightShape* out) {
  const Shape &x = a.x.shape, &dy = a.dy.shape, &w = a.dweight.shape;
  const Conv2dParams& c = a.conv;
  if (!fits(x[1], dy[1], w[0], c.stride.h, c.dilation.h, c.pad.top) ||
      !fits(x[2], dy[2], w[1], c.stride.w, c.dilation.w, c.pad.left))
    return false;
  WeightShape p{.rows = depthwise_axis(x[1], dy[1], w[0], c.stride.h, c.dilation.h, c.pad.top),
                .columns = depthwise_axis(x[2], dy[2], w[1], c.stride.w, c.dilation.w, c.pad.left)};
  p.floats = a.dweight.numel();
  const int64_t channels = w[2];
  if (channels % kStripChannels == 0) {
    p.per_thread = kStripChannels;
    if (w[0] == w[1] && (w[0] == 3 || w[0] == 5) && c.dilation == Extent2{1, 1} && c.stride.h == c.stride.w &&
        c.stride.h <= 2) {
      p.taps = static_cast<int>(w[0]), p.stride = c.stride.h;
      p.per_thread = p.taps == 5 ? 2 : kStripChannels;
      p.rows.strip = 2, p.columns.strip = 4;
    }
  } else if (channels % 2 == 0) {
    p.per_thread = 2;
  }
  p.strips = dy[0] * p.rows.strips() * p.columns.strips();
  constexpr int64_t kLeast = 4, kMost = 512;  // the sums of a slab are written and read
  p.tiling = strip_tiling(p.rows, p.columns, channels / p.per_thread, p.strips);
  p.tiling.cut(p.strips, 1, kLeast, kMost);
  *out = p;
  return fits(p.tiling, channels, p.tiling.tiles * p.tiling.slabs);
}

int64_t weight_workspace(const DepthwiseConv2dBackwardWeightArgs& a) {
  WeightShape p;
  return shape_of(a, &p) ? p.partial_bytes() : 0;
}

template <typename T>
auto kernel_of(const WeightShape& p, bool aligned) -> void (*)(WeightGradient<T>) {
  if (p.per_thread == 1) return depthwise_any_weight_gradient_kernel<T, 1>;
  if (p.taps == 3 && aligned)
    return p.stride == 1 ? depthwise_weight_gradient_kernel<T, kStripChannels, Weights3x3>
                         : depthwise_weight_gradient_kernel<T, kStripChannels, Weights3x3Stride2>;
  if (p.taps == 5 && aligned)
    return p.stride == 1 ? depthwise_weight_gradient_kernel<T, 2, Weights5x5>
                         : depthwise_weight_gradient_kernel<T, 2, Weights5x5Stride2>;
  return p.per_thread == 2 ? depthwise_any_weight_gradient_kernel<T, 2>
                           : depthwise_any_weight_gradient_kernel<T, kStripChannels>;
}

template <typename T>
Status depthwise_conv2d_backward_weight(CallContext& call, const DepthwiseConv2dBackwardWeightArgs& a) {
  call.kernel = "depthwise_conv2d_backward_weight";
  WeightShape p;
  if (!shape_of(a, &p)) return Status::unsupported;
  if (call.workspace_bytes < p.partial_bytes()) return Status::invalid_argument;
  const WeightGradient<T> g{.x = a.x.as<T>(),
                            .dy = a.dy.as<T>(),
                            .partial = static_cast<float*>(call.workspace),
                            .rows = p.rows,
                            .columns = p.columns,
                            .tiling = p.tiling,
                            .channels = a.dweight.shape[2],
                            .strips = p.strips,
                            .aligned = all_aligned(a.x.as<T>(), a.dy.as<T>())};
  const auto blocks = static_cast<unsigned>(p.tiling.tiles * p.tiling.slabs);
  const Status status = launch(call, {"depthwise_conv2d_backward_weight", dim3(blocks), dim3(kStripThreads)},
                               kernel_of<T>(p, g.aligned), g);
  if (status != Status::ok) return status;
  return launch(call, merge_config("depthwise_weight_slabs", p.floats), depthwise_weight_slabs_kernel,
                Planes{g.partial, p.tiling.slabs, p.floats}, a.dweight.as<float>());
}

void enter_depthwise_backward_weight(KernelTable& table) {
  enter<DepthwiseConv2dBackwardWeightArgs, depthwise_conv2d_backward_weight<float>,
        depthwise_conv2d_backward_weight<__nv_bfloat16>>(table);
  enter_workspace<DepthwiseConv2dBackwardWeightArgs, weight_workspace>(table);
}

}  // namespace graft::cuda
