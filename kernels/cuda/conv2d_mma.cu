// Convolution of 16-bit tensors, NHWC, as implicit matrix products on tensor cores (mma_product.h, conv_geometry.h): a
// product for each group, sums in f32. Forward in bf16 and f16; gradients, for which f16's range is short, in bf16.
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
// Chunks of 16 bytes where C' and K' are multiples of 8 and the tensors aligned, else element by element: an image of 3
// channels. A pixel beside the image is a zero that is multiplied like any other.
//
// Of 65,536 registers and at least 164 KiB of shared memory (sm_80; sm_90 has 228) a block of 128 threads takes
//                          128 x 128, 48 KiB      64 x 64, 24 KiB
//   forward                225 registers          110
//   backward by data       239                    120
//   backward by weights    230                    110
// so that two, or four, blocks share a multiprocessor: by registers, the accumulators being 128, or 32, of them.
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

GemmShape forward_shape(const Conv2dArgs& c) {
  const Shape& weight = c.weight.shape;
  return {.rows = c.y.shape.rows(),
          .columns = weight[0] / c.conv.groups,
          .depth = weight.count(1, 4),
          .batches = c.conv.groups,
          .results = c.y.numel()};
}

int64_t conv2d_mma_workspace(const Conv2dArgs& c, int tile) {
  return plan_of(forward_shape(c), tile).workspace_bytes();
}
OwnTiles conv2d_mma_tiles(const Conv2dArgs& c) { return tiles_of(forward_shape(c)); }

template <typename T>
Status conv2d_mma(CallContext& call, const Conv2dArgs& c, int tile) {
  if (!may_index(c.x.shape, c.weight.shape, c.conv)) return Status::unsupported;
  const GemmShape s = forward_shape(c);
  const auto *x = c.x.as<T>(), *weight = c.weight.as<T>();
  const int64_t channels = c.weight.shape[3];
  const MmaPatches<T, true> patches{.data = x,
                                    .patches = patches_of(c.x.shape, c.y.shape, c.weight.shape, c.conv),
                                    .extent = s.rows,
                                    .depth = s.depth,
                                    .batch_offset = channels,
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
  return mma_product<T>(call, "conv2d_mma", MmaProblem{patches, filters, out}, s, tile);
}
template Status conv2d_mma<__nv_bfloat16>(CallContext&, const Conv2dArgs&, int);
template Status conv2d_mma<__half>(CallContext&, const Conv2dArgs&, int);

// ---- backward by weights

GemmShape backward_weight_shape(const Conv2dBackwardWeightArgs& c) {
  const Shape& weight = c.dweight.shape;
  return {.rows = weight[0] / c.conv.groups,
          .columns = weight.count(1, 4),
          .depth = c.dy.shape.rows(),
          .batches = c.conv.groups,
          .results = weight.numel()};
}

int64_t conv2d_backward_weight_mma_workspace(const Conv2dBackwardWeightArgs& c, int tile) {
  return plan_of(backward_weight_shape(c), tile).workspace_bytes();
}
OwnTiles conv2d_backward_weight_mma_tiles(const Conv2dBackwardWeightArgs& c) {
  return tiles_of(backward_weight_shape(c));
}

template <typename T>
Status conv2d_backward_weight_mma(CallContext& call, const Conv2dBackwardWeightArgs& c, int tile) {
  if (!may_index(c.x.shape, c.dweight.shape, c.conv)) return Status::unsupported;
  const GemmShape s = backward_weight_shape(c);
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
                                     .batch_offset = c.dweight.shape[3],
                                     .vector = chunked(c.dweight.shape[3], x)};
  const MmaOutput<T> out{.y = c.dweight.data, .f32 = true, .stride = s.columns, .batch_offset = s.rows * s.columns};
  return mma_product<T>(call, "conv2d_backward_weight_mma", MmaProblem{gradients, patches, out}, s, tile);
}
template Status conv2d_backward_weight_mma<__nv_bfloat16>(CallContext&, const Conv2dBackwardWeightArgs&, int);

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
  FastDivisor<int32_t> by_taps_w, by_outputs;

  __device__ Index index(int64_t i) const { return i < extent ? i : -1; }
  __device__ Step step(int64_t k) const {
    if (k >= depth) return -1;
    auto output = static_cast<int32_t>(k);
    int32_t w = by_outputs.divide(output);
    const int32_t h = by_taps_w.divide(w);
    return output * filter + h * row_pitch + w * tap_pitch;
  }
  __device__ const T* at(Index i, Step k) const { return (i | k) >= 0 ? data + i + k : nullptr; }
};

// Pixels of a phase, which lie `stride` apart in dx.
template <typename T>
struct MmaPhaseOutput : MmaOutput<T> {
  FastDivisor<int64_t> by_h, by_w;  // the most pixels of a phase
  int32_t first_h, first_w, stride_h, stride_w;
  int64_t pixels_h, pixels_w;

  __device__ int64_t row(int64_t i) const {
    int64_t w = i, h = by_w.divide(w);
    const int64_t image = by_h.divide(h);
    h = first_h + h * stride_h;
    w = first_w + w * stride_w;
    return h < pixels_h && w < pixels_w ? ((image * pixels_h + h) * pixels_w + w) * this->stride : -1;
  }
};

// What phases differ in. Their table is an argument of the kernel; more phases than it holds take several launches.
struct MmaPhase {
  int64_t depth, first_tap;  // offset in a filter
  FastDivisor<int32_t> by_taps_w;
  int32_t origin_h, origin_w, first_h, first_w;
};
inline constexpr int kMmaPhases = 16;

template <typename T>
struct BackwardDataProblem {
  using A = MmaPatches<T, true>;
  using B = MmaFilters<T>;
  using Output = MmaPhaseOutput<T>;

  A a;
  B b;
  Output out;
  int64_t groups, group_filters;  // elements of a group's filters
  MmaPhase phases[kMmaPhases];

  __device__ const MmaPhase& phase(int64_t batch) const { return phases[batch / groups]; }
  __device__ A left(int64_t batch) const {
    const MmaPhase& now = phase(batch);
    A entered = a;
    entered.enter_batch(batch % groups);
    entered.depth = now.depth;
    entered.patches.rows.origin = now.origin_h;
    entered.patches.columns.origin = now.origin_w;
    entered.patches.by_taps_w = now.by_taps_w;
    return entered;
  }
  __device__ B right(int64_t batch) const {
    const MmaPhase& now = phase(batch);
    B entered = b;
    entered.data += batch % groups * group_filters + now.first_tap;
    entered.depth = now.depth;
    entered.by_taps_w = now.by_taps_w;
    return entered;
  }
  __device__ Output output(int64_t batch) const {
    const MmaPhase& now = phase(batch);
    Output entered = out;
    entered.enter_batch(batch % groups);
    entered.first_h = now.first_h;
    entered.first_w = now.first_w;
    return entered;
  }
};

struct BackwardDataPlan {
  PhaseAxis h, w;
  GemmShape shape;

  explicit BackwardDataPlan(const Conv2dBackwardDataArgs& c) {
    const Shape &dx = c.dx.shape, &dy = c.dy.shape, &weight = c.weight.shape;
    const Conv2dParams& p = c.conv;
    h = phase_axis(dx[1], dy[1], weight[1], p.stride.h, p.pad.top, p.dilation.h);
    w = phase_axis(dx[2], dy[2], weight[2], p.stride.w, p.pad.left, p.dilation.w);
    shape = {.rows = dx[0] * h.most_pixels * w.most_pixels,
             .columns = weight[3],
             .depth = int64_t{h.most_taps} * w.most_taps * (weight[0] / p.groups),
             .batches = p.groups * h.phases() * w.phases(),
             .results = c.dx.numel()};
  }
  int64_t phases() const { return h.phases() * w.phases(); }
  MmaPhase phase(int64_t number, const Shape& weight, int64_t outputs) const {
    const auto first_h = static_cast<int32_t>(number / w.phases()), first_w = static_cast<int32_t>(number % w.phases());
    const Phase of_h = phase_of(h, first_h), of_w = phase_of(w, first_w);
    return {.depth = int64_t{of_h.taps} * of_w.taps * outputs,
            .first_tap = (of_h.first_tap * weight[2] + of_w.first_tap) * weight[3],
            .by_taps_w = FastDivisor<int32_t>(of_w.taps),
            .origin_h = of_h.window.origin,
            .origin_w = of_w.window.origin,
            .first_h = first_h,
            .first_w = first_w};
  }
};

int64_t conv2d_backward_data_mma_workspace(const Conv2dBackwardDataArgs& c, int tile) {
  if (!may_index(c.dx.shape, c.weight.shape, c.conv)) return 0;  // unsupported, says the call
  return plan_of(BackwardDataPlan(c).shape, tile).workspace_bytes();
}
OwnTiles conv2d_backward_data_mma_tiles(const Conv2dBackwardDataArgs& c) { return tiles_of(BackwardDataPlan(c).shape); }

template <typename T>
Status conv2d_backward_data_mma(CallContext& call, const Conv2dBackwardDataArgs& c, int tile) {
  if (!may_index(c.dx.shape, c.weight.shape, c.conv)) return Status::unsupported;
  const BackwardDataPlan plan(c);
  const auto& [h, w, s] = plan;
  const Shape &dx = c.dx.shape, &dy = c.dy.shape, &weight = c.weight.shape;
  const int64_t outputs = weight[0] / c.conv.groups, filter = weight.count(1, 4);
  const FastDivisor<int32_t> by_outputs(outputs);
  const FastDivisor<int64_t> by_h(h.most_pixels), by_w(w.most_pixels);
  BackwardDataProblem<T> problem{};
  problem.groups = c.conv.groups;
  problem.group_filters = outputs * filter;
  problem.a = {.data = c.dy.as<T>(),
               .patches = {.rows = phase_of(h, 0).window,
                           .columns = phase_of(w, 0).window,
                           .row_pitch = dy[2] * dy[3],
                           .pixel_pitch = dy[3],
                           .by_positions_h = by_h,
                           .by_positions_w = by_w,
                           .by_channels = by_outputs},
               .extent = s.rows,
               .batch_offset = outputs,
               .vector = chunked(outputs, c.dy.as<T>())};
  const MmaFilters<T> filters{.data = c.weight.as<T>(),
                              .extent = weight[3],
                              .filter = filter,
                              .row_pitch = h.period * weight[2] * weight[3],
                              .tap_pitch = w.period * weight[3],
                              .vector = chunked(weight[3], c.weight.as<T>()),
                              .by_outputs = by_outputs};
  const MmaOutput<T> results{.y = c.dx.data, .stride = dx[3], .batch_offset = weight[3]};
  problem.b = filters;
  static_cast<MmaOutput<T>&>(problem.out) = results;
  problem.out.by_h = by_h, problem.out.by_w = by_w;
  problem.out.stride_h = c.conv.stride.h, problem.out.stride_w = c.conv.stride.w;
  problem.out.pixels_h = dx[1], problem.out.pixels_w = dx[2];
  return mma_product<T>(call, "conv2d_backward_data_mma", problem, s, tile, [&](const auto& launch_some) {
    Status status = Status::ok;
    for (int64_t first = 0, count; first < plan.phases() && status == Status::ok; first += count) {
      count = plan.phases() - first < kMmaPhases ? plan.phases() - first : kMmaPhases;
      for (int64_t i = 0; i < count; ++i) problem.phases[i] = plan.phase(first + i, weight, outputs);
      status = launch_some(problem, count * problem.groups);
    }
    return status;
  });
}
template Status conv2d_backward_data_mma<__nv_bfloat16>(CallContext&, const Conv2dBackwardDataArgs&, int);

}  // namespace graft::cuda
