// Convolution backward by weights as an implicit matrix product, in f32, on NHWC: dweight = dyᵀ · patches(x), a product
// for each group (conv_geometry.h).
//
//   rows     K / groups        outputs
//   columns  R·S·C / groups    taps and channels
//   depth    N·Ho·Wo           pixels of dy
//
// The result is small and the sums are long, so they are cut into slabs of pixels: 64 filters of 7x7x3 over 16 images
// of 112x112 are 3 tiles of 200,704 pixels, and 85 slabs make 255 blocks of them.
//
// Memory traffic: dy is read once per tile of columns, x once per tile of rows (each pixel by R·S / stride² taps, from
// L1 or L2 but for the first); dweight is written once, in S > 1 slabs S times into the workspace, and read from there.
// Both operands are contiguous along the tile's sides: 16-byte loads where the channels and outputs of a group are
// multiples of four. Limits in gemm_tile.h.
#include "kernels/cuda/gemm_tile.h"
#include "kernels/cuda/mma_launchers.h"
#include "kernels/cuda/ways.h"

namespace graft::cuda {

struct Conv2dBackwardWeightTiles {
  const float *x, *dy;
  Patches patches;
  GemmShape shape;
  GemmCut cut;
  Epilogue<float> out;
  int64_t outputs;  // K, of all groups
  bool x_aligned, dy_aligned;
};

template <typename Tile, int kN>
__global__ __launch_bounds__(kGemmThreads,
                             kGemmBlocks) void conv2d_backward_weight_kernel(Conv2dBackwardWeightTiles a) {
  const GemmBlock block = gemm_block(a.cut, a.shape.depth);
  const int64_t first = block.batch * a.shape.rows;  // output of the group
  const MatrixOperand dy{a.dy + first, 1, a.outputs, false, a.dy_aligned};
  const TransposedPatchOperand x{a.x + block.batch * a.patches.by_channels.divisor, a.patches, a.x_aligned};
  const auto results = multiply<Tile, kN>(dy, x, a.shape, block);
  store_results(results, a.cut, a.shape, block, a.out,
                [&](int64_t output) { return (first + output) * a.shape.columns; });
}

GemmPlan gemm_plan(const Conv2dBackwardWeightArgs& c, int tile) {
  const Shape& weight = c.dweight.shape;
  const int64_t outputs = weight[0] / c.conv.groups;
  return {.shape = {.rows = outputs,
                    .columns = weight.count(1, 4),
                    .depth = c.dy.shape.rows(),
                    .batches = c.conv.groups,
                    .results = weight.numel()},
          .wide = weight[3] % 4 == 0 && outputs % 4 == 0,
          .tile = tile};
}

int64_t conv2d_backward_weight_workspace(const Conv2dBackwardWeightArgs& c, int tile) {
  if (c.x.dtype != DType::f32) return conv2d_backward_weight_mma_workspace(c, tile);
  return gemm_plan(c, tile).cut.workspace_bytes();
}

Status conv2d_backward_weight(CallContext& call, const Conv2dBackwardWeightArgs& c, int tile) {
  if (!may_index(c.x.shape, c.dweight.shape, c.conv)) return Status::unsupported;
  const GemmPlan plan = gemm_plan(c, tile);
  Conv2dBackwardWeightTiles tiles{.x = c.x.as<const float>(),
                                  .dy = c.dy.as<const float>(),
                                  .patches = patches_of(c.x.shape, c.dy.shape, c.dweight.shape, c.conv),
                                  .shape = plan.shape,
                                  .cut = plan.cut,
                                  .out = {.y = c.dweight.as<float>(), .vectors = plan.shape.columns % 4 == 0},
                                  .outputs = c.dweight.shape[0]};
  tiles.out.aligned = all_aligned(tiles.out.y);
  tiles.x_aligned = all_aligned(tiles.x), tiles.dy_aligned = all_aligned(tiles.dy);
  return launch_gemm(call, "conv2d_backward_weight", plan.shape.columns, tiles, [&](const LaunchConfig& config) {
    return for_tile(plan.cut.side, plan.wide, [&]<typename Tile, int kN>() {
      return launch(call, config, conv2d_backward_weight_kernel<Tile, kN>, tiles);
    });
  });
}

OwnTiles own_tiles(const Conv2dBackwardWeightArgs& c) {
  if (!may_index(c.x.shape, c.dweight.shape, c.conv)) return {};
  if (c.x.dtype != DType::f32) return conv2d_backward_weight_mma_tiles(c);
  const GemmPlan plan = gemm_plan(c, 0);
  return tiles_of(plan.cut, plan.wide);
}

void enter_conv2d_backward_weight(KernelTable& table) {
  enter<Conv2dBackwardWeightArgs, by_way<Conv2dBackwardWeightArgs, conv2d_backward_weight>,
        by_way<Conv2dBackwardWeightArgs, conv2d_backward_weight_mma<__nv_bfloat16>>>(table);
  enter_workspace<Conv2dBackwardWeightArgs,
                  by_way_workspace<Conv2dBackwardWeightArgs, conv2d_backward_weight_workspace>>(table);
}

}  // namespace graft::cuda
