// y = act(a · bᵀ + bias + residual) on tensor cores for any operands (mma_tile.h), and batches of such products: how
// they are cut into blocks, and the kernel. All choices follow from the shape, so the same call gives the same bits.
//
// Memory traffic: each block reads its rows of a and b once, so a goes through L2 columns / tile times and b
// rows / tile times. Blocks that run at the same time share a strip of b's rows that L2 holds and walk down a, which is
// the long side of a convolution.
//
// Where there are too few tiles to fill the card the depth is split: 4 · rows · columns bytes a part are written to the
// workspace and read back.
#pragma once
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/mma_output.h"

namespace graft::cuda {

inline constexpr int kLargeTile = 128, kSmallTile = 64;

struct MmaPlan {
  GemmShape shape;
  int tile = kSmallTile;
  int64_t row_tiles = 0, column_tiles = 0, steps = 0, steps_per_split = 0, splits = 1;

  int64_t blocks() const { return row_tiles * column_tiles * shape.batches * splits; }
  int64_t workspace_bytes() const {
    return splits > 1 ? splits * shape.results * static_cast<int64_t>(sizeof(float)) : 0;
  }
};

// `tile`: that was chosen; 0: by shape.
inline MmaPlan plan_of(const GemmShape& s, int tile) {
  constexpr int64_t kFewLargeTiles = 32;  // with fewer, small tiles spread better over a hundred multiprocessors
  constexpr int64_t kEnoughBlocks = 256;  // two for each of them
  constexpr int64_t kLeastSteps = 8;      // of a part: what it costs to begin and end one is small beside it
  MmaPlan p{.shape = s, .steps = ceil_div(s.depth, kMmaDepth)};
  const auto cut = [&](int side) {
    p.tile = side;
    p.row_tiles = ceil_div(s.rows, side);
    p.column_tiles = ceil_div(s.columns, side);
    return p.row_tiles * p.column_tiles * s.batches;
  };
  int64_t tiles = 0;
  if (tile != 0)
    tiles = cut(tile);
  else if (s.rows <= kSmallTile || s.columns <= kSmallTile || (tiles = cut(kLargeTile)) < kFewLargeTiles)
    tiles = cut(kSmallTile);
  const int64_t wanted = tiles > 0 ? kEnoughBlocks / tiles : 1, possible = p.steps / kLeastSteps;
  p.splits = wanted < possible ? wanted : possible;
  if (p.splits < 1) p.splits = 1;
  p.steps_per_split = ceil_div(p.steps, p.splits);
  if (p.steps_per_split > 0) p.splits = ceil_div(p.steps, p.steps_per_split);
  return p;
}

// The tiles that may be chosen.
inline OwnTiles tiles_of(const GemmShape& s) {
  return {.all = std::span(kTiles).last(2), .by_shape = plan_of(s, 0).tile};
}

// What a block makes.
struct MmaBlock {
  int64_t row, column, batch, split;
};
__device__ inline MmaBlock block_of(const MmaPlan& p) {
  constexpr int64_t kStrip = 8;  // tiles of columns that neighbouring blocks share
  int64_t i = blockIdx.x;
  MmaBlock b{};
  const int64_t tiles = p.row_tiles * p.column_tiles;
  b.split = i / (tiles * p.shape.batches);
  b.batch = i / tiles % p.shape.batches;
  i %= tiles;
  const int64_t strip = i / (p.row_tiles * kStrip), first = strip * kStrip;
  const int64_t width = p.column_tiles - first < kStrip ? p.column_tiles - first : kStrip;
  i -= first * p.row_tiles;
  b.row = i / width * p.tile;
  b.column = (first + i % width) * p.tile;
  return b;
}

// The operands of a product and where it goes, by batch.
template <typename Left, typename Right, typename Out>
struct MmaProblem {
  using A = Left;
  using B = Right;
  using Output = Out;
  Left a;
  Right b;
  Out out;

  __device__ Left left(int64_t batch) const { return entered(a, batch); }
  __device__ Right right(int64_t batch) const { return entered(b, batch); }
  __device__ Out output(int64_t batch) const { return entered(out, batch); }

 private:
  template <typename Part>
  __device__ static Part entered(Part part, int64_t batch) {
    part.enter_batch(batch);
    return part;
  }
};

// A batch may have less depth than the others.
template <typename T, int kTile, typename Problem>
__global__ __launch_bounds__(kMmaThreads, kTile == kLargeTile ? 2 : 4) void mma_kernel(const Problem problem,
                                                                                       const MmaPlan plan) {
  using Product = TileProduct<T, kTile, typename Problem::A, typename Problem::B>;
  GRAFT_SHARED(Chunk, stages, [kMmaStages][2][Product::kOperandChunks]);
  const MmaBlock block = block_of(plan);
  const typename Problem::A a = problem.left(block.batch);
  const typename Problem::B b = problem.right(block.batch);
  const int64_t begin = block.split * plan.steps_per_split, end = begin + plan.steps_per_split;
  const int64_t steps = (a.depth + kMmaDepth - 1) / kMmaDepth;
  Product product;
  product.run(stages, a, block.row, b, block.column, begin, end < steps ? end : steps);

  typename Problem::Output out = problem.output(block.batch);
  if (plan.splits > 1) out.move(block.split * plan.shape.results, 0);
  store_sums<Product::kQuarter>(out, product.c, stages, block.row + Product::warp_row(),
                                block.column + Product::warp_column(), plan.shape.rows, plan.shape.columns);
}

// `run(launch)` calls launch(problem, batches) once, or for some of the batches at a time. `out.vector` is decided
// here.
template <typename T, typename Problem, typename Run>
Status mma_product(CallContext& call, const char* name, Problem& problem, const GemmShape& shape, int tile,
                   const Run& run) {
  MmaPlan p = plan_of(shape, tile);
  if (call.workspace_bytes < p.workspace_bytes()) return Status::invalid_argument;
  const bool fours = shape.columns % kOutputs == 0;
  MmaOutput<T>& out = problem.out;
  out.vector = fours && all_aligned(out.bias, out.residual, static_cast<const char*>(out.y));
  const MmaOutput<T> whole = out;  // of the parts' sums
  if (p.splits > 1) {
    out.y = call.workspace;
    out.f32 = true;
    out.bias = nullptr;
    out.residual = nullptr;
    out.activation = Activation::none;
    out.vector = fours;
  }
  const Status status = run([&](const Problem& part, int64_t batches) {
    p.shape.batches = batches;
    const LaunchConfig config{name, dim3(static_cast<unsigned>(p.blocks())), dim3(kMmaThreads)};
    return p.tile == kLargeTile ? launch(call, config, mma_kernel<T, kLargeTile, Problem>, part, p)
                                : launch(call, config, mma_kernel<T, kSmallTile, Problem>, part, p);
  });
  if (p.splits == 1 || status != Status::ok) return status;

  const int64_t threads = ceil_div(shape.results, whole.vector ? kOutputs : 1);
  const LaunchConfig sums{"sum_splits", dim3(static_cast<unsigned>(ceil_div(threads, kSumThreads))), dim3(kSumThreads)};
  const Status summed = launch(call, sums, sum_splits_kernel<T>, static_cast<const float*>(call.workspace),
                               shape.results, static_cast<int>(p.splits), whole);
  call.kernel = name;
  return summed;
}
template <typename T, typename Problem>
Status mma_product(CallContext& call, const char* name, Problem problem, const GemmShape& shape, int tile) {
  return mma_product<T>(call, name, problem, shape, tile,
                        [&](const auto& launch_all) { return launch_all(problem, shape.batches); });
}

}  // namespace graft::cuda
