// Convolution forward as an implicit matrix product, in f32, on NHWC: y = act(patches(x) · weightᵀ + bias + residual),
// a product for each group (conv_geometry.h).
//
//   rows     N·Ho·Wo       pixels of y
//   columns  K / groups    outputs
//   depth    R·S·C / groups
//
// Memory traffic: a block of a side · side tile reads the patches of side pixels, R·S·C' numbers each, of which those
// of neighbouring windows are the same memory: side·stride² + halo pixels of x in all, from L1 or L2 but for the first.
// All blocks together read x once per tile of columns, weight once per tile of rows, y is written once (residual: read
// once). 1x1 convolutions are plain products. The patches are never stored. 16-byte loads where C / groups is a
// multiple of four; C = 3 of a photo is read element by element, and C / groups = 1 wastes 31 of a tile's 32 columns:
// depthwise convolutions have kernels of their own. Limits in gemm_tile.h.
#include "kernels/cuda/gemm_tile.h"
#include "kernels/cuda/mma_launchers.h"
#include "kernels/cuda/ways.h"

namespace graft::cuda {

struct Conv2dTiles {
  const float *x, *weight;
  Patches patches;
  GemmShape shape;
  GemmCut cut;
  Epilogue<float> out;
  int64_t outputs;  // K, of all groups
  bool x_aligned, weight_aligned;
};

template <typename Tile, int kN>
__global__ __launch_bounds__(kGemmThreads, kGemmBlocks) void conv2d_kernel(Conv2dTiles a) {
  const GemmBlock block = gemm_block(a.cut, a.shape.depth);
  const PatchOperand x{a.x + block.batch * a.patches.by_channels.divisor, a.patches, a.x_aligned};
  const int64_t first = block.batch * a.shape.columns;  // output of the group
  const MatrixOperand weight{a.weight + first * a.shape.depth, a.shape.depth, 1, true, a.weight_aligned};
  const auto results = multiply<Tile, kN>(x, weight, a.shape, block);
  if (a.out.bias != nullptr) a.out.bias += first;
  store_results(results, a.cut, a.shape, block, a.out, [&](int64_t pixel) { return pixel * a.outputs + first; });
}

GemmPlan gemm_plan(const Conv2dArgs& c, int tile) {
  const Shape& weight = c.weight.shape;
  return {.shape = {.rows = c.y.shape.rows(),
                    .columns = weight[0] / c.conv.groups,
                    .depth = weight.count(1, 4),
                    .batches = c.conv.groups,
                    .results = c.y.numel()},
          .wide = weight[3] % 4 == 0,
          .tile = tile};
}

int64_t conv2d_workspace(const Conv2dArgs& c, int tile) {
  if (c.x.dtype != DType::f32) return conv2d_mma_workspace(c, tile);
  return gemm_plan(c, tile).cut.workspace_bytes();
}

Status conv2d(CallContext& call, const Conv2dArgs& c, int tile) {
  if (!may_index(c.x.shape, c.weight.shape, c.conv)) return Status::unsupported;
  const GemmPlan plan = gemm_plan(c, tile);
  Conv2dTiles tiles{.x = c.x.as<const float>(),
                    .weight = c.weight.as<const float>(),
                    .patches = patches_of(c.x.shape, c.y.shape, c.weight.shape, c.conv),
                    .shape = plan.shape,
                    .cut = plan.cut,
                    .out = {.y = c.y.as<float>(),
                            .bias = c.bias.as<const float>(),
                            .residual = c.residual.as<const float>(),
                            .activation = c.activation,
                            .vectors = plan.shape.columns % 4 == 0},
                    .outputs = c.weight.shape[0]};
  tiles.out.aligned = all_aligned(tiles.out.y, tiles.out.bias, tiles.out.residual);
  tiles.x_aligned = all_aligned(tiles.x), tiles.weight_aligned = all_aligned(tiles.weight);
  return launch_gemm(call, "conv2d", tiles.outputs, tiles, [&](const LaunchConfig& config) {
    return for_tile(plan.cut.side, plan.wide,
                    [&]<typename Tile, int kN>() { return launch(call, config, conv2d_kernel<Tile, kN>, tiles); });
  });
}

OwnTiles own_tiles(const Conv2dArgs& c) {
  if (!may_index(c.x.shape, c.weight.shape, c.conv)) return {};
  if (c.x.dtype != DType::f32) return conv2d_mma_tiles(c);
  const GemmPlan plan = gemm_plan(c, 0);
  return tiles_of(plan.cut, plan.wide);
}

void enter_conv2d(KernelTable& table) {
  enter<Conv2dArgs, by_way<Conv2dArgs, conv2d>, by_way<Conv2dArgs, conv2d_mma<__nv_bfloat16>>,
        by_way<Conv2dArgs, conv2d_mma<__half>>>(table);
  enter_workspace<Conv2dArgs, by_way_workspace<Conv2dArgs, conv2d_workspace>>(table);
}

}  // namespace graft::cuda
