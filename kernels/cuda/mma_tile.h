// The main loop of a matrix product on tensor cores: c[i, j] = Σ_k a[i, k] · b[j, k] for a tile of c, one a block.
//
// Shared memory holds three pieces of depth 32 of both operands: while the warps multiply one, cp.async fills the
// next two. One barrier a step does for both ends of a stage: behind it everybody's copies of this stage have arrived,
// and everybody has finished with the stage of the step before, which the next copies overwrite.
//
// An operand comes as a matrix [extent, depth] in which eight neighbours along the one axis or the other, a chunk of 16
// bytes, lie together in memory; its lines are stored in shared memory as they come, and ldmatrix transposes where the
// neighbours lie along the extent. Chunks are swizzled: eight lines at one chunk, which is what ldmatrix reads, and
// eight chunks in a row, which is what a quarter of a warp writes, lie in 32 different banks.
//
// Four warps, 2 × 2, make quarters of the tile. From shared memory a warp with a quarter of 64 x 64 reads 4 KiB for 32
// mma, 128 bytes each, and the block writes 64 more for each: 192. An A100's multiprocessor makes an m16n8k16 in two
// clocks (1,024 multiplications a clock), in which shared memory moves 256 bytes: the tensor cores are the limit. A
// quarter of 32 x 32 asks for 256 + 128, so the small tile ends at two thirds of that. An H100 would make one a clock,
// but mma.sync reaches about 60 % of what wgmma does there, 1.6 clocks or 205 bytes: level with the large tile.
#pragma once
#include <type_traits>

#include "kernels/cuda/async_copy.h"
#include "kernels/cuda/mma.h"

namespace graft::cuda {

inline constexpr int kMmaThreads = 128;
inline constexpr int kMmaDepth = 32, kMmaStages = 3;
inline constexpr int kChunk = 8;  // elements of 16 bits in 16 bytes

struct alignas(16) Chunk {
  uint32_t words[4];
};

// A piece of an operand in shared memory: kExtent × kMmaDepth elements.
template <int kExtent, bool kDepthMajor>
struct OperandTile {
  static constexpr int kLines = kDepthMajor ? kExtent : kMmaDepth;
  static constexpr int kLineChunks = (kDepthMajor ? kMmaDepth : kExtent) / kChunk;
  static constexpr int kChunks = kLines * kLineChunks;
  // Lines of 64 bytes share the 128 bytes of all banks in twos.
  static constexpr int kShare = kLineChunks < 8 ? 8 / kLineChunks : 1;
  static constexpr int kPlaces = 8 / kShare;

  __device__ static int place(int line, int chunk) { return line * kLineChunks + (chunk ^ (line / kShare % kPlaces)); }

  // Four 8x8 matrices, the registers of a FragmentA: (i, k), (i + 8, k), (i, k + 8), (i + 8, k + 8).
  __device__ static void load(uint32_t (&r)[4], const Chunk* tile, int i, int k) {
    const int lane = threadIdx.x % kWarpLanes;
    const int row = lane % 8, i_half = lane / 8 % 2, k_half = lane / 16;
    if constexpr (kDepthMajor)
      load_matrices<false>(r, tile + place(i + 8 * i_half + row, k / kChunk + k_half));
    else
      load_matrices<true>(r, tile + place(k + 8 * k_half + row, i / kChunk + i_half));
  }
};

// Fills tiles from an operand, which says
//   kDepthMajor          neighbours lie along depth
//   Index index(i)       what belongs to i, which may lie behind the extent
//   Step step(k)         what belongs to k, which may lie behind the depth
//   at(Index, Step)      the element's address, nullptr: it is 0
//   vector               chunks are aligned, and wholly there or wholly not; else they are read element by element
//   data                 some address of its memory
//   depth, enter_batch   see mma_product.h
// The coordinate along which the main loop does not move is looked up once.
template <typename T, typename Operand, int kExtent>
class TileLoader {
 public:
  using Tile = OperandTile<kExtent, Operand::kDepthMajor>;
  static constexpr int kColumns = Tile::kLineChunks;      // a thread keeps to its chunk of the lines
  static constexpr int kStride = kMmaThreads / kColumns;  // and takes every kStride-th line
  static constexpr int kPerThread = Tile::kLines / kStride;

  __device__ TileLoader(const Operand& operand, int64_t first)
      : operand_(operand), first_(first), chunk_(threadIdx.x % kColumns), line_(threadIdx.x / kColumns) {
    if constexpr (Operand::kDepthMajor) {
#pragma unroll
      for (int u = 0; u < kPerThread; ++u) index_[u] = operand.index(first + line_ + u * kStride);
    } else {
      index_[0] = operand.index(first + chunk_ * kChunk);
    }
  }

  __device__ void fill(Chunk* tile, int64_t depth) const {
    if (operand_.vector)
      copy_chunks(tile, depth);
    else
      copy_elements(tile, depth);
  }

 private:
  __device__ Chunk* place(Chunk* tile, int u) const { return tile + Tile::place(line_ + u * kStride, chunk_); }

  __device__ void copy_chunks(Chunk* tile, int64_t depth) const {
    if constexpr (Operand::kDepthMajor) {
      const auto step = operand_.step(depth + chunk_ * kChunk);
#pragma unroll
      for (int u = 0; u < kPerThread; ++u) copy_chunk(place(tile, u), operand_.at(index_[u], step));
    } else {
#pragma unroll
      for (int u = 0; u < kPerThread; ++u)
        copy_chunk(place(tile, u), operand_.at(index_[0], operand_.step(depth + line_ + u * kStride)));
    }
  }
  __device__ void copy_chunk(Chunk* to, const T* from) const {
    async_copy(to, from != nullptr ? from : operand_.data, from != nullptr);
  }

  // The same elements at the same places, by way of registers, into which they are shifted: a chunk's last one first.
  __device__ void copy_elements(Chunk* tile, int64_t depth) const {
    Chunk chunks[kPerThread] = {};
#pragma unroll 1
    for (int e = kChunk - 1; e >= 0; --e) {
      if constexpr (Operand::kDepthMajor) {
        const auto step = operand_.step(depth + chunk_ * kChunk + e);
#pragma unroll
        for (int u = 0; u < kPerThread; ++u) shift_in(chunks[u], operand_.at(index_[u], step));
      } else {
        const auto index = operand_.index(first_ + chunk_ * kChunk + e);
#pragma unroll
        for (int u = 0; u < kPerThread; ++u)
          shift_in(chunks[u], operand_.at(index, operand_.step(depth + line_ + u * kStride)));
      }
    }
#pragma unroll
    for (int u = 0; u < kPerThread; ++u) store_shared(place(tile, u), chunks[u]);
  }
  __device__ static void shift_in(Chunk& chunk, const T* from) {
    const uint32_t element = from != nullptr ? load(reinterpret_cast<const uint16_t*>(from)) : 0u;
    for (int i = 3; i > 0; --i) chunk.words[i] = chunk.words[i] << 16 | chunk.words[i - 1] >> 16;
    chunk.words[0] = chunk.words[0] << 16 | element;
  }

  const Operand& operand_;
  int64_t first_;
  int chunk_, line_;
  typename Operand::Index index_[Operand::kDepthMajor ? kPerThread : 1];
};

// A block's sums, a warp its quarter: c[m][n] is rows 16·m, columns 8·n of it.
template <typename T, int kTile, typename A, typename B>
class TileProduct {
 public:
  static constexpr int kQuarter = kTile / 2;
  static constexpr int kRows = kQuarter / 16, kColumns = kQuarter / 8;
  static constexpr int kOperandChunks = kTile * kMmaDepth / kChunk;
  using Stage = Chunk[2][kOperandChunks];

  FragmentC c[kRows][kColumns] = {};

  __device__ static int warp_row() { return threadIdx.x / kWarpLanes / 2 * kQuarter; }
  __device__ static int warp_column() { return threadIdx.x / kWarpLanes % 2 * kQuarter; }

  // Steps [begin, end) of kMmaDepth each. Behind it the stages may hold something else: all threads are through.
  __device__ void run(Stage* stages, const A& a, int64_t row, const B& b, int64_t column, int64_t begin, int64_t end) {
    const TileLoader<T, A, kTile> a_loader(a, row);
    const TileLoader<T, B, kTile> b_loader(b, column);
    const auto fetch = [&](int64_t step, int stage) {
      if (step < end) {
        a_loader.fill(stages[stage][0], step * kMmaDepth);
        b_loader.fill(stages[stage][1], step * kMmaDepth);
      }
      async_commit();  // empty at the end: the count of groups stays that of steps
    };
    for (int stage = 0; stage < kMmaStages - 1; ++stage) fetch(begin + stage, stage);
    int stage = 0, next = kMmaStages - 1;
    for (int64_t step = begin; step < end; ++step) {
      async_wait<kMmaStages - 2>();
      __syncthreads();
      fetch(step + kMmaStages - 1, next);
      multiply(stages[stage]);
      stage = stage + 1 == kMmaStages ? 0 : stage + 1;
      next = next + 1 == kMmaStages ? 0 : next + 1;
    }
    __syncthreads();
  }

 private:
  __device__ void multiply(const Stage& stage) {
#pragma unroll
    for (int k = 0; k < kMmaDepth; k += 16) {
      FragmentA a[kRows];
      FragmentB b[kColumns];
#pragma unroll
      for (int m = 0; m < kRows; ++m)
        OperandTile<kTile, A::kDepthMajor>::load(a[m].r, stage[0], warp_row() + 16 * m, k);
#pragma unroll
      for (int n = 0; n < kColumns; n += 2) {  // b's columns are rows of the operand, eight a fragment
        uint32_t r[4];
        OperandTile<kTile, B::kDepthMajor>::load(r, stage[1], warp_column() + 8 * n, k);
        b[n] = {{r[0], r[2]}};
        b[n + 1] = {{r[1], r[3]}};
      }
#pragma unroll
      for (int m = 0; m < kRows; ++m)
#pragma unroll
        for (int n = 0; n < kColumns; ++n) mma<T>(c[m][n], a[m], b[n]);
    }
  }
};

}  // namespace graft::cuda
