// Convolution backward by data as implicit matrix products, in f32, on NHWC: dx = patches(dy) · weight of the taps that
// meet, a product for each group and each phase of the stride (conv_geometry.h).
//
//   rows     N·⌈H/stride⌉·⌈W/stride⌉    pixels of dx in the phase
//   columns  C / groups                 channels
//   depth    taps of the phase · K / groups
//
// A phase has about R·S / stride² of the taps, so that all phases multiply as often as forward does. A launch makes up
// to kMostPhases of them, the slowest part of a block's number; a phase without taps (three of the four of a 1x1
// convolution of stride 2) writes zeros.
//
// Memory traffic: dy is read once per phase and tile of columns, and by the taps of a phase from L1 or L2; weight once
// per tile of rows; dx is written once, a pixel's channels at a time. 16-byte loads where the channels and outputs of a
// group are multiples of four. Limits in gemm_tile.h.
#include "kernels/cuda/gemm_tile.h"
#include "kernels/cuda/mma_launchers.h"
#include "kernels/cuda/ways.h"

namespace graft::cuda {

// weight[k, r, s, c], taps and outputs of a phase along the depth, as patches(dy) has them, channels along the rows.
struct FilterOperand {
  const float* weight;  // of the group's first output and the phase's first tap
  const Patches& patches;
  int64_t filter, tap_row, tap_column;  // from an output to the next, from a phase's tap to the next
  bool aligned;

  static constexpr bool along_depth = false;
  using Row = const float*;
  __device__ Row row(int64_t channel) const { return weight + channel; }
  __device__ const float* at(Row row, int64_t k) const {
    const Patches::Tap tap = patches.tap(static_cast<int32_t>(k));  // its channel is one of dy: an output
    return row + tap.channel * filter + tap.h * tap_row + tap.w * tap_column;
  }
};

// The pixels (first_h + i·stride, first_w + j·stride) of dx, and what of their patches differs from other phases'.
struct DataPhase {
  int64_t depth;
  int64_t first_tap;  // offset in a filter
  FastDivisor<int32_t> by_taps_w;
  int32_t origin_h, origin_w, first_h, first_w;
};
constexpr int kMostPhases = 16;

struct Conv2dBackwardDataTiles {
  const float *dy, *weight;
  Patches patches;  // of dy
  GemmShape shape;  // the depth: of the phase that has most
  GemmCut cut;
  Epilogue<float> out;
  unsigned groups;
  int64_t outputs, channels;            // K / groups, C / groups
  int64_t filter, tap_row, tap_column;  // of FilterOperand
  int32_t height, width, stride_h, stride_w;
  bool dy_aligned, weight_aligned;
  DataPhase phases[kMostPhases];
};

template <typename Tile, int kN>
__global__ __launch_bounds__(kGemmThreads, kGemmBlocks) void conv2d_backward_data_kernel(Conv2dBackwardDataTiles a) {
  GemmBlock block = gemm_block(a.cut, a.shape.depth);
  const unsigned group = block.batch % a.groups;
  const DataPhase& phase = a.phases[block.batch / a.groups];
  if (block.end > phase.depth) block.end = phase.depth;
  Patches patches = a.patches;
  patches.rows.origin = phase.origin_h, patches.columns.origin = phase.origin_w;
  patches.by_taps_w = phase.by_taps_w;
  const PatchOperand dy{a.dy + group * a.outputs, patches, a.dy_aligned};
  const FilterOperand weight{a.weight + group * a.outputs * a.filter + phase.first_tap,
                             patches,
                             a.filter,
                             a.tap_row,
                             a.tap_column,
                             a.weight_aligned};
  const auto results = multiply<Tile, kN>(dy, weight, a.shape, block);

  store_results(results, a.cut, a.shape, block, a.out, [&](int64_t p) {
    int64_t w = p, h = a.patches.by_positions_w.divide(w);
    const int64_t image = a.patches.by_positions_h.divide(h);
    h = phase.first_h + h * a.stride_h, w = phase.first_w + w * a.stride_w;
    const bool inside = h < a.height && w < a.width;
    return inside ? (((image * a.height + h) * a.width + w) * a.groups + group) * a.channels : -1;
  });
}

struct Conv2dBackwardDataPlan : GemmPlan {
  PhaseAxis h, w;
  Conv2dBackwardDataPlan(const Conv2dBackwardDataArgs& c, int side) {
    tile = side;
    const Shape &dx = c.dx.shape, &dy = c.dy.shape, &weight = c.weight.shape;
    const Conv2dParams& p = c.conv;
    h = phase_axis(dx[1], dy[1], weight[1], p.stride.h, p.pad.top, p.dilation.h);
    w = phase_axis(dx[2], dy[2], weight[2], p.stride.w, p.pad.left, p.dilation.w);
    const int64_t outputs = weight[0] / p.groups;
    shape = {.rows = dx[0] * h.most_pixels * w.most_pixels,
             .columns = weight[3],
             .depth = int64_t{h.most_taps} * w.most_taps * outputs,
             .batches = p.groups * h.phases() * w.phases(),
             .results = c.dx.numel()};
    wide = weight[3] % 4 == 0 && outputs % 4 == 0;
    cut = cut_of(shape, wide, tile);
  }
};

int64_t conv2d_backward_data_workspace(const Conv2dBackwardDataArgs& c, int tile) {
  if (c.dy.dtype != DType::f32) return conv2d_backward_data_mma_workspace(c, tile);
  if (!may_index(c.dx.shape, c.weight.shape, c.conv)) return 0;
  return Conv2dBackwardDataPlan(c, tile).cut.workspace_bytes();
}

DataPhase phase_of(const Conv2dBackwardDataPlan& plan, const Conv2dBackwardDataArgs& c, int32_t first_h,
                   int32_t first_w) {
  const Phase h = phase_of(plan.h, first_h), w = phase_of(plan.w, first_w);

  return {.depth = h.taps * w.taps * (c.weight.shape[0] / c.conv.groups),
          .first_tap = (h.first_tap * c.weight.shape[2] + w.first_tap) * c.weight.shape[3],
          .by_taps_w = FastDivisor<int32_t>(w.taps),
          .origin_h = h.window.origin,
          .origin_w = w.window.origin,
          .first_h = first_h,
          .first_w = first_w};
}

Status conv2d_backward_data(CallContext& call, const Conv2dBackwardDataArgs& c, int tile) {
  if (!may_index(c.dx.shape, c.weight.shape, c.conv)) return Status::unsupported;
  const Conv2dBackwardDataPlan plan(c, tile);
  const Shape &dy = c.dy.shape, &weight = c.weight.shape;
  Conv2dBackwardDataTiles tiles{.dy = c.dy.as<const float>(),
                                .weight = c.weight.as<const float>(),
                                .patches = {.rows = phase_of(plan.h, 0).window,
                                            .columns = phase_of(plan.w, 0).window,
                                            .row_pitch = dy[2] * dy[3],
                                            .pixel_pitch = dy[3],
                                            .by_positions_h = FastDivisor<int64_t>(plan.h.most_pixels),
                                            .by_positions_w = FastDivisor<int64_t>(plan.w.most_pixels),
                                            .by_channels = FastDivisor<int32_t>(weight[0] / c.conv.groups)},
                                .shape = plan.shape,
                                .cut = plan.cut,
                                .out = {.y = c.dx.as<float>(), .vectors = plan.shape.columns % 4 == 0},
                                .groups = static_cast<unsigned>(c.conv.groups),
                                .outputs = weight[0] / c.conv.groups,
                                .channels = weight[3],
                                .filter = weight.count(1, 4),
                                .tap_row = plan.h.period * weight[2] * weight[3],
                                .tap_column = plan.w.period * weight[3],
                                .height = plan.h.pixels,
                                .width = plan.w.pixels,
                                .stride_h = c.conv.stride.h,
                                .stride_w = c.conv.stride.w};
  tiles.out.aligned = all_aligned(tiles.out.y);
  tiles.dy_aligned = all_aligned(tiles.dy), tiles.weight_aligned = all_aligned(tiles.weight);
  return launch_gemm(call, "conv2d_backward_data", c.dx.shape[3], tiles, [&](LaunchConfig config) {
    const int64_t phases = plan.h.phases() * plan.w.phases();
    Status status = Status::ok;
    for (int64_t first = 0, count; first < phases && status == Status::ok; first += count) {
      count = phases - first < kMostPhases ? phases - first : kMostPhases;
      for (int64_t i = 0; i < count; ++i) {
        const int64_t h = (first + i) / plan.w.phases(), w = (first + i) % plan.w.phases();
        tiles.phases[i] = phase_of(plan, c, static_cast<int32_t>(h), static_cast<int32_t>(w));
      }
      tiles.cut.batches = tiles.groups * count;
      config.grid = tiles.cut.grid();
      status = for_tile(plan.cut.side, plan.wide, [&]<typename Tile, int kN>() {
        return launch(call, config, conv2d_backward_data_kernel<Tile, kN>, tiles);
      });
    }
    return status;
  });
}

OwnTiles own_tiles(const Conv2dBackwardDataArgs& c) {
  if (!may_index(c.dx.shape, c.weight.shape, c.conv)) return {};
  if (c.dy.dtype != DType::f32) return conv2d_backward_data_mma_tiles(c);
  const Conv2dBackwardDataPlan plan(c, 0);
  return tiles_of(plan.cut, plan.wide);
}

void enter_conv2d_backward_data(KernelTable& table) {
  enter<Conv2dBackwardDataArgs, by_way<Conv2dBackwardDataArgs, conv2d_backward_data>,
        by_way<Conv2dBackwardDataArgs, conv2d_backward_data_mma<__nv_bfloat16>>>(table);
  enter_workspace<Conv2dBackwardDataArgs, by_way_workspace<Conv2dBackwardDataArgs, conv2d_backward_data_workspace>>(
      table);
}

}  // namespace graft::cuda
