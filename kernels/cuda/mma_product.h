// y = act(a · bᵀ + bias + residual) on tensor cores for any operands (mma_tile.h) and groups of them: how a product is
// cut into blocks, and the kernel. All choices follow from the shape, so the same call gives the same bits.
//
// Memory traffic: each block reads its rows of a and b once, so a goes through L2 columns / tile times and b
// rows / tile times. Blocks that run at the same time share a strip of b's rows that L2 holds and walk down a, which is
// the long side of a convolution.
//
// Where there are too few tiles to fill the card the depth is split: 4 · rows · columns bytes a part are written to the
// workspace and read back.
#pragma once
#include "kernels/cuda/launch.h"
#include "kernels/cuda/mma_output.h"

namespace graft::cuda {

inline constexpr int kLargeTile = 128, kSmallTile = 64;

struct MmaShape {
  int64_t rows, columns, depth, groups = 1;
  friend constexpr bool operator==(const MmaShape&, const MmaShape&) = default;
};

struct MmaPlan {
  int tile = kSmallTile;
  int64_t row_tiles = 0, column_tiles = 0, groups = 0, steps = 0, steps_per_split = 0, splits = 1;

  int64_t blocks() const { return row_tiles * column_tiles * groups * splits; }
};

inline MmaPlan plan_of(const MmaShape& s) {
  constexpr int64_t kFewLargeTiles = 32;  // with fewer, small tiles spread better over a hundred multiprocessors
  constexpr int64_t kEnoughBlocks = 256;  // two for each of them
  constexpr int64_t kLeastSteps = 8;      // of a part: what it costs to begin and end one is small beside it
  MmaPlan p{.groups = s.groups, .steps = ceil_div(s.depth, kMmaDepth)};
  const auto cut = [&](int tile) {
    p.tile = tile;
    p.row_tiles = ceil_div(s.rows, tile);
    p.column_tiles = ceil_div(s.columns, tile);
    return p.row_tiles * p.column_tiles * p.groups;
  };
  int64_t tiles = 0;
  if (s.rows <= kSmallTile || s.columns <= kSmallTile || (tiles = cut(kLargeTile)) < kFewLargeTiles)
    tiles = cut(kSmallTile);
  const int64_t wanted = tiles > 0 ? kEnoughBlocks / tiles : 1, possible = p.steps / kLeastSteps;
  p.splits = wanted < possible ? wanted : possible;
  if (p.splits < 1) p.splits = 1;
  p.steps_per_split = ceil_div(p.steps, p.splits);
  if (p.steps_per_split > 0) p.splits = ceil_div(p.steps, p.steps_per_split);
  return p;
}

constexpr int64_t mma_output_elements(const MmaShape& s) { return s.rows * s.columns * s.groups; }
inline int64_t mma_workspace(const MmaShape& s) {
  const MmaPlan p = plan_of(s);
  return p.splits > 1 ? p.splits * mma_output_elements(s) * static_cast<int64_t>(sizeof(float)) : 0;
}

// What a block makes.
struct MmaBlock {
  int64_t row, column, group, split;
};
__device__ inline MmaBlock block_of(const MmaPlan& p) {
  constexpr int64_t kStrip = 8;  // tiles of columns that neighbouring blocks share
  int64_t i = blockIdx.x;
  MmaBlock b{};
  const int64_t tiles = p.row_tiles * p.column_tiles;
  b.split = i / (tiles * p.groups);
  b.group = i / tiles % p.groups;
  i %= tiles;
  const int64_t strip = i / (p.row_tiles * kStrip), first = strip * kStrip;
  const int64_t width = p.column_tiles - first < kStrip ? p.column_tiles - first : kStrip;
  i -= first * p.row_tiles;
  b.row = i / width * p.tile;
  b.column = (first + i % width) * p.tile;
  return b;
}

template <typename T, int kTile, typename A, typename B>
__global__ __launch_bounds__(kMmaThreads, kTile == kLargeTile ? 2 : 4) void mma_kernel(A a, B b, MmaOutput<T> out,
                                                                                       MmaPlan plan) {
  using Product = TileProduct<T, kTile, A, B>;
  GRAFT_SHARED(Chunk, stages, [kMmaStages][2][Product::kOperandChunks]);
  const MmaBlock block = block_of(plan);
  a.enter_group(block.group);
  b.enter_group(block.group);
  const int64_t begin = block.split * plan.steps_per_split, end = begin + plan.steps_per_split;
  Product product;
  product.run(stages, a, block.row, b, block.column, begin, end < plan.steps ? end : plan.steps);

  out.enter_group(block.group);
  if (plan.splits > 1) out.y = static_cast<float*>(out.y) + block.split * plan.groups * out.rows * out.columns;
  store_sums<T, Product::kQuarter>(out, product.c, stages, block.row + Product::warp_row(),
                                   block.column + Product::warp_column());
}

// `out.vector` is decided here.
template <typename T, typename A, typename B>
Status mma_product(CallContext& call, const char* name, const A& a, const B& b, MmaOutput<T> out, const MmaShape& s) {
  const MmaPlan p = plan_of(s);
  if (call.workspace_bytes < mma_workspace(s)) return Status::invalid_argument;
  out.rows = s.rows;
  out.columns = s.columns;
  out.vector = s.columns % kOutputs == 0 && all_aligned(out.bias, out.residual, static_cast<const char*>(out.y));
  MmaOutput<T> sums = out;  // what the blocks write
  if (p.splits > 1) {
    sums.y = call.workspace;
    sums.f32 = true;
    sums.bias = nullptr;
    sums.residual = nullptr;
    sums.activation = Activation::none;
    sums.vector = s.columns % kOutputs == 0;
  }
  const LaunchConfig config{name, dim3(static_cast<unsigned>(p.blocks())), dim3(kMmaThreads)};
  const Status status = p.tile == kLargeTile ? launch(call, config, mma_kernel<T, kLargeTile, A, B>, a, b, sums, p)
                                             : launch(call, config, mma_kernel<T, kSmallTile, A, B>, a, b, sums, p);
  if (p.splits == 1 || status != Status::ok) return status;

  // The groups of y lie side by side in its rows, or one under the other: either way y is one matrix.
  const bool side_by_side = out.y_group == s.columns;
  out.columns = side_by_side ? s.columns * s.groups : s.columns;
  out.rows = side_by_side ? s.rows : s.rows * s.groups;
  const int64_t threads = ceil_div(out.rows * out.columns, out.vector ? kOutputs : 1);
  const Status summed =
      launch(call, {"sum_splits", dim3(static_cast<unsigned>(ceil_div(threads, kSumThreads))), dim3(kSumThreads)},
             sum_splits_kernel<T>, static_cast<const float*>(call.workspace), static_cast<int>(p.splits), out);
  call.kernel = name;
  return summed;
}

}  // namespace graft::cuda
