// Convolution of 16-bit tensors, NHWC, as implicit matrix products on tensor cores (mma_product.h, conv_geometry.h): a
// product for each group, sums in f32.
//
//                       rows                columns           depth
//   forward             pixels of y         outputs K'        R·S·C', taps and channels    y = patches(x) · weightᵀ
//   backward by data    pixels of a phase   channels C'       taps of the phase · K'       dx = patches(dy) · weight
//   backward by weights outputs K'          R·S·C'            pixels of dy                 dweight = dyᵀ · patches(x)
//
// K' and C' are those of a group. Backward by data makes a product for each phase of the stride, so that no tap is
// multiplied that does not meet a pixel.
//
// Memory traffic: the image is read once per tile of columns, each pixel by R·S / stride² taps, from L2 but for the
// first; weights once per tile of rows, from L2; the result is written once, with bias, residual and activation on the
// way. The gradient of the weights is small and its sums are long: they are cut into parts (mma_product.h) and dweight,
// in f32, is their sum.
//
// Chunks of 16 bytes where C' and K' are multiples of 8, else element by element: an image of 3 channels. At 128 x 128
// a thread has … registers, a block 48 KiB: two blocks a multiprocessor on sm_80 and sm_90; 64 x 64 … and 24 KiB: four.
#include "kernels/cuda/mma_launchers.h"
#include "kernels/cuda/mma_matrix.h"
#include "kernels/cuda/mma_patches.h"
#include "kernels/cuda/mma_product.h"

namespace graft::cuda {

namespace {

template <typename... Pointers>
bool chunked(int64_t channels, const Pointers*... pointers) {
  return channels % kChunk == 0 && all_aligned(pointers...);
}

}  // namespace

// ---- forward

MmaShape forward_shape(const Conv2dArgs& c) {
  const Shape& weight = c.weight.shape;
  return {.rows = c.y.shape.rows(),
          .columns = weight[0] / c.conv.groups,
          .depth = weight.count(1, 4),
          .batches = c.conv.groups,
          .results = c.y.numel()};
}

int64_t conv2d_mma_workspace(const Conv2dArgs& c) { return plan_of(forward_shape(c)).workspace_bytes(); }

template <typename T>
Status conv2d_mma(CallContext& call, const Conv2dArgs& c) {
  if (!is_countable(c.x.shape, c.conv)) return Status::unsupported;
  const MmaShape s = forward_shape(c);
  const auto *x = c.x.as<T>(), *weight = c.weight.as<T>();
  const int64_t channels = c.weight.shape[3];
  const MmaPatches<T, true> patches{.data = x,
                                    .patches = patches_of(c.x.shape, c.y.shape, c.weight.shape, c.conv),
                                    .extent = s.rows,
                                    .depth = s.depth,
                                    .vector = chunked(channels, x)};
  const MmaMatrix<T, true> filters{.data = weight,
                                   .extent = s.columns,
                                   .depth = s.depth,
                                   .line = s.depth,
                                   .batch_offset = s.columns * s.depth,
                                   .vector = chunked(s.depth, weight)};
  const MmaOutput<T> out{.y = c.y.data,
                         .bias = c.bias.as<float>(),
                         .residual = c.residual.as<T>(),
                         .activation = c.activation,
                         .stride = c.y.shape[3],
                         .batch_offset = s.columns,
                         .batch_columns = s.columns};
  return mma_product<T>(call, "conv2d_mma", MmaProblem{patches, filters, out}, s);
}
template Status conv2d_mma<__nv_bfloat16>(CallContext&, const Conv2dArgs&);
template Status conv2d_mma<__half>(CallContext&, const Conv2dArgs&);

// ---- backward by weights

MmaShape backward_weight_shape(const Conv2dBackwardWeightArgs& c) {
  const Shape& weight = c.dweight.shape;
  return {.rows = weight[0] / c.conv.groups,
          .columns = weight.count(1, 4),
          .depth = c.dy.shape.rows(),
          .batches = c.conv.groups,
          .results = weight.numel()};
}

int64_t conv2d_backward_weight_mma_workspace(const Conv2dBackwardWeightArgs& c) {
  return plan_of(backward_weight_shape(c)).workspace_bytes();
}

template <typename T>
Status conv2d_backward_weight_mma(CallContext& call, const Conv2dBackwardWeightArgs& c) {
  if (!is_countable(c.x.shape, c.conv)) return Status::unsupported;
  const MmaShape s = backward_weight_shape(c);
  const auto *x = c.x.as<T>(), *dy = c.dy.as<T>();
  const MmaMatrix<T, false> gradients{.data = dy,
                                      .extent = s.rows,
                                      .depth = s.depth,
                                      .line = c.dy.shape[3],
                                      .batch_offset = s.rows,
                                      .vector = chunked(s.rows, dy)};
  const MmaPatches<T, false> patches{.data = x,
                                     .patches = patches_of(c.x.shape, c.dy.shape, c.dweight.shape, c.conv),
                                     .extent = s.columns,
                                     .depth = s.depth,
                                     .vector = chunked(c.dweight.shape[3], x)};
  const MmaOutput<T> out{.y = c.dweight.data, .f32 = true, .stride = s.columns, .batch_offset = s.rows * s.columns};
  return mma_product<T>(call, "conv2d_backward_weight_mma", MmaProblem{gradients, patches, out}, s);
}
template Status conv2d_backward_weight_mma<__nv_bfloat16>(CallContext&, const Conv2dBackwardWeightArgs&);
template Status conv2d_backward_weight_mma<__half>(CallContext&, const Conv2dBackwardWeightArgs&);

// ---- backward by data

// weight[k, r, s, c]: along the depth by tap of the phase and output, as in patches(dy), along the extent by channel.
template <typename T>
struct MmaFilters {
  static constexpr bool kDepthMajor = false;
  using Index = int64_t;
  using Step = int64_t;

  const T* data;  // of the phase's first tap
  int64_t extent, depth;
  int64_t filter, row_pitch, tap_pitch;  // R·S·C'; from tap to tap of the phase
  bool vector;
  FastDivisor by_outputs, by_phase_taps;

  __device__ Index index(int64_t i) const { return i < extent ? i : -1; }
  __device__ Step step(int64_t k) const {
    if (k >= depth) return -1;
    int64_t output = k, w = by_outputs.divide(output);
    const int64_t h = by_phase_taps.divide(w);
    return output * filter + h * row_pitch + w * tap_pitch;
  }
  __device__ const T* at(Index i, Step k) const { return (i | k) >= 0 ? data + i + k : nullptr; }
};

// Pixels of a phase, which lie `stride` apart in dx.
template <typename T>
struct MmaPhaseOutput : MmaOutput<T> {
  FastDivisor by_h, by_w;  // the most pixels of a phase
  int64_t first_h, first_w, stride_h, stride_w, pixels_h, pixels_w;

  __device__ int64_t row(int64_t i) const {
    int64_t w = i, h = by_w.divide(w);
    const int64_t image = by_h.divide(h);
    h = first_h + h * stride_h;
    w = first_w + w * stride_w;
    return h < pixels_h && w < pixels_w ? ((image * pixels_h + h) * pixels_w + w) * this->stride : -1;
  }
};

template <typename T>
struct BackwardDataProblem {
  using A = MmaPatches<T, true>;
  using B = MmaFilters<T>;

  A a;
  B b;
  MmaPhaseOutput<T> out;
  PhaseAxis h, w;
  FastDivisor by_most_taps, by_fewer_taps;  // of a row of taps
  int64_t groups, phases_w;

  __device__ void enter_batch(int64_t batch) {
    const int64_t group = batch % groups, number = batch / groups;
    const Phase of_h = phase_of(h, number / phases_w), of_w = phase_of(w, number % phases_w);
    const int64_t outputs = a.patches.channels;
    a.enter_batch(group);
    a.depth = b.depth = of_h.taps * of_w.taps * outputs;
    a.patches.rows.origin = of_h.window.origin;  // the rest of the window is the same for all phases
    a.patches.columns.origin = of_w.window.origin;
    const bool fewer = of_w.taps < w.most_taps;
    set(a.patches.by_taps_w, fewer);
    set(b.by_phase_taps, fewer);
    b.data += group * outputs * b.filter + (of_h.first_tap * w.taps + of_w.first_tap) * b.extent;
  }
  __device__ void enter_output(int64_t batch) {
    out.enter_batch(batch % groups);
    out.first_h = batch / groups / phases_w;  // a phase's number is its first pixel
    out.first_w = batch / groups % phases_w;
  }

 private:
  __device__ void set(FastDivisor& to, bool fewer) const {  // by number, so that it stays in registers
    to.divisor = fewer ? by_fewer_taps.divisor : by_most_taps.divisor;
    to.magic = fewer ? by_fewer_taps.magic : by_most_taps.magic;
    to.shift = fewer ? by_fewer_taps.shift : by_most_taps.shift;
  }
};

struct BackwardDataPlan {
  PhaseAxis h, w;
  MmaShape shape;

  explicit BackwardDataPlan(const Conv2dBackwardDataArgs& c) {
    const Shape &dx = c.dx.shape, &dy = c.dy.shape, &weight = c.weight.shape;
    const Conv2dParams& p = c.conv;
    h = phase_axis(dx[1], dy[1], weight[1], p.stride.h, p.pad.top, p.dilation.h);
    w = phase_axis(dx[2], dy[2], weight[2], p.stride.w, p.pad.left, p.dilation.w);
    shape = {.rows = dx[0] * h.most_pixels * w.most_pixels,
             .columns = weight[3],
             .depth = h.most_taps * w.most_taps * (weight[0] / p.groups),
             .batches = p.groups * h.phases() * w.phases(),
             .results = c.dx.numel()};
  }
};

int64_t conv2d_backward_data_mma_workspace(const Conv2dBackwardDataArgs& c) {
  return plan_of(BackwardDataPlan(c).shape).workspace_bytes();
}

template <typename T>
Status conv2d_backward_data_mma(CallContext& call, const Conv2dBackwardDataArgs& c) {
  if (!is_countable(c.dx.shape, c.conv)) return Status::unsupported;
  const auto& [h, w, s] = BackwardDataPlan(c);
  const Shape &dx = c.dx.shape, &dy = c.dy.shape, &weight = c.weight.shape;
  const int64_t outputs = weight[0] / c.conv.groups;
  const FastDivisor by_outputs(outputs), by_h(h.most_pixels), by_w(w.most_pixels);
  BackwardDataProblem<T> problem{.h = h,
                                 .w = w,
                                 .by_most_taps = FastDivisor(w.most_taps),
                                 .by_fewer_taps = FastDivisor(w.most_taps - 1),
                                 .groups = c.conv.groups,
                                 .phases_w = w.phases()};
  const Phase first_h = phase_of(h, 0), first_w = phase_of(w, 0);
  problem.a = {.data = c.dy.as<T>(),
               .patches = {.rows = first_h.window,
                           .columns = first_w.window,
                           .channels = outputs,
                           .row_pitch = dy[2] * dy[3],
                           .pixel_pitch = dy[3],
                           .by_positions_h = by_h,
                           .by_positions_w = by_w,
                           .by_channels = by_outputs},
               .extent = s.rows,
               .depth = s.depth,
               .vector = chunked(outputs, c.dy.as<T>())};
  problem.b = {.data = c.weight.as<T>(),
               .extent = weight[3],
               .depth = s.depth,
               .filter = weight.count(1, 4),
               .row_pitch = first_h.period * weight[2] * weight[3],
               .tap_pitch = first_w.period * weight[3],
               .vector = chunked(weight[3], c.weight.as<T>()),
               .by_outputs = by_outputs};
  static_cast<MmaOutput<T>&>(problem.out) = {.y = c.dx.data, .stride = dx[3], .batch_offset = weight[3]};
  problem.out.by_h = by_h, problem.out.by_w = by_w;
  problem.out.stride_h = c.conv.stride.h, problem.out.stride_w = c.conv.stride.w;
  problem.out.pixels_h = dx[1], problem.out.pixels_w = dx[2];
  return mma_product<T>(call, "conv2d_backward_data_mma", problem, s);
}
template Status conv2d_backward_data_mma<__nv_bfloat16>(CallContext&, const Conv2dBackwardDataArgs&);
template Status conv2d_backward_data_mma<__half>(CallContext&, const Conv2dBackwardDataArgs&);

}  // namespace graft::cuda
