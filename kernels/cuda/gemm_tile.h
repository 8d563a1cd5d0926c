// The f32 product of a block: side · side results held in registers, operands passing through shared memory in slices.
//
// Each of 256 threads owns side/16 · side/16 results. Per step of the depth it reads 2·side/16 numbers from shared
// memory and makes (side/16)² multiply-adds; a slice of 2·side·depth numbers comes from memory for side²·depth of them:
//   side   slice   FLOPs per byte of shared memory   FLOPs per byte of memory   share of the FMA peak
//   128      8                 2                               32                    1
//    64     16                 1                               16                    1/2
//    32     32                 1/2                              8                    1/4
// The share is the limit by shared memory's 128 bytes a clock against 128 multiply-adds (256 FLOPs) a clock of a
// multiprocessor, were each lane's word moved on its own. Lanes that read the same word share it: a warp is 4 · 8
// threads, so it moves (4 + 8) / 64 of that, and what remains is issue: 4 loads of 16 bytes beside 64 multiply-adds at
// side 128, 94 % of the peak at most; 2 beside 16 at 64, 89 %; 2 beside 4 at 32, 67 %. By memory, an H200 (67 TFLOP/s,
// 4.8 TB/s) needs 14 FLOPs a byte: the smallest tile is bound by L2, and serves what is small.
//
// Reuse, as the memory table counts it: each tile of columns reads A anew and each tile of rows B, so blocks ask for
// (|A|·⌈columns/side⌉ + |B|·⌈rows/side⌉) / (|A| + |B|) times the operands, from L2 but for the first; of patches, |A|
// is the image, times the pixels a tile sees over those by which it moves on.
//
// While a slice is multiplied the next one is on its way to registers, then goes to the other half of shared memory:
// one barrier a slice. In shared memory a slice lies along the side, [depth][side + 4]. An operand that is contiguous
// along the depth is turned as it is stored: 16 lanes take rows, 2 the halves of 8 numbers (one sector) of each; by the
// padding of 4 words these meet different banks, as the vectors of the other direction do.
#pragma once
#include "kernels/cuda/activation.h"
#include "kernels/cuda/gemm.h"

namespace graft::cuda {

inline constexpr int kGemmThreads = 256;
inline constexpr int kGemmBlocks = 2;  // of a multiprocessor, at least: 128 registers a thread

template <int kSideOf, int kDepthOf>
struct GemmTile {
  static constexpr int kSide = kSideOf, kDepth = kDepthOf;
  static constexpr int kPerThread = kSide / 16;                    // results of a thread, each way
  static constexpr int kVector = kPerThread < 4 ? kPerThread : 4;  // of which this many are neighbours
  static constexpr int kVectors = kPerThread / kVector;            // the next ones lie 16 · kVector further
  static constexpr int kPitch = kSide + 4;                         // of a slice in shared memory
  static_assert(kSlabStep % kDepth == 0);
};
using LargeTile = GemmTile<128, 8>;
using MediumTile = GemmTile<64, 16>;
using SmallTile = GemmTile<32, 32>;

// Calls `run<Tile, kN>()`; kN: elements of an operand that are read at once.
template <typename Run>
Status for_tile(int side, bool wide, const Run& run) {
  if (side == 128) return run.template operator()<LargeTile, 4>();
  if (side == 64) return wide ? run.template operator()<MediumTile, 4>() : run.template operator()<MediumTile, 1>();
  return wide ? run.template operator()<SmallTile, 4>() : run.template operator()<SmallTile, 1>();
}

// Runs `launch_tiles(config)` over `tiles`, a kernel's arguments: their `cut`, and their `out`, which in the meantime
// is the workspace where there are several slabs. y has rows of `columns`.
template <typename Tiles, typename LaunchTiles>
Status launch_gemm(CallContext& call, const char* name, int64_t columns, Tiles& tiles,
                   const LaunchTiles& launch_tiles) {
  const GemmCut& cut = tiles.cut;
  if (call.workspace_bytes < cut.workspace_bytes()) return Status::invalid_argument;
  const LaunchConfig config{name, cut.grid(), dim3(kGemmThreads)};
  if (cut.slabs == 1) return launch_tiles(config);
  const Epilogue<float> out = tiles.out;
  tiles.out = Epilogue<float>{.y = static_cast<float*>(call.workspace), .vectors = out.vectors, .aligned = true};
  Status status = launch_tiles(config);
  if (status == Status::ok) status = add_slabs(call, cut, columns, out);
  if (status == Status::ok) call.kernel = name;
  return status;
}

// ---- operands
//
// An operand is a matrix [rows, depth], rows being those of A or the columns of B. `row(i)` is what does not change
// along the depth; `at(row, k)` says where the element lies, nullptr being a zero. `along_depth`: neighbours in memory
// are neighbours along the depth, else along the rows.

struct MatrixOperand {
  const float* data;
  int64_t row_stride, depth_stride;  // one of them is 1
  bool along_depth, aligned;

  using Row = const float*;
  __device__ Row row(int64_t i) const { return data + i * row_stride; }
  __device__ const float* at(Row row, int64_t k) const { return row + k * depth_stride; }
};

// The patches of an image: rows are pixels of the output.
struct PatchOperand {
  const float* image;
  const Patches& patches;
  bool aligned;

  static constexpr bool along_depth = true;
  using Row = Patches::Pixel;
  __device__ Row row(int64_t p) const { return patches.pixel(p); }
  __device__ const float* at(const Row& row, int64_t k) const {
    const int64_t offset = patches.offset(row, patches.tap(static_cast<int32_t>(k)));
    return offset < 0 ? nullptr : image + offset;
  }
};

// And transposed: rows are taps and channels, the sum runs over pixels.
struct TransposedPatchOperand {
  const float* image;
  const Patches& patches;
  bool aligned;

  static constexpr bool along_depth = false;
  using Row = Patches::Tap;
  __device__ Row row(int64_t k) const { return patches.tap(static_cast<int32_t>(k)); }
  __device__ const float* at(const Row& row, int64_t p) const {
    const int64_t offset = patches.offset(patches.pixel(p), row);
    return offset < 0 ? nullptr : image + offset;
  }
};

// ---- a block's part of the work

struct GemmBlock {
  unsigned batch, row_tile, column_tile;
  int64_t begin, end;  // of the slab
};

// Neighbours share a tile of rows: of A, the larger operand of a convolution, each part is read at about one time.
__device__ inline GemmBlock gemm_block(const GemmCut& cut, int64_t depth) {
  const auto column_tiles = static_cast<unsigned>(cut.column_tiles), row_tiles = static_cast<unsigned>(cut.row_tiles);
  const unsigned rest = blockIdx.x / column_tiles;
  const int64_t begin = blockIdx.y * cut.slab_depth, end = begin + cut.slab_depth;
  return {rest / row_tiles, rest % row_tiles, blockIdx.x % column_tiles, begin, end < depth ? end : depth};
}

// What a thread brings of each slice of an operand: kN neighbours, once or a few times.
template <typename Tile, int kN, typename Operand>
class SliceLoader {
 public:
  __device__ SliceLoader(const Operand& operand, int64_t first, int64_t rows) : operand_(operand) {
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      inside_[u] = first + row(u) < rows;
      rows_[u] = operand_.row(first + row(u));
    }
  }

  __device__ void fetch(int64_t slice, int64_t end) {
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      values_[u] = {};
      const int64_t k = slice + depth(u);
      const float* from = inside_[u] && k < end ? operand_.at(rows_[u], k) : nullptr;
      if (from != nullptr) values_[u] = load_vector<kN>(from, operand_.aligned);
    }
  }

  __device__ void put(float (&slice)[Tile::kDepth][Tile::kPitch]) const {
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      if (operand_.along_depth) {
#pragma unroll
        for (int n = 0; n < kN; ++n) store_shared(&slice[depth(u) + n][row(u)], values_[u].at[n]);
      } else {
        store_shared(&slice[depth(u)][row(u)], values_[u]);
      }
    }
  }

 private:
  static constexpr int kUnits = Tile::kSide * Tile::kDepth / (kGemmThreads * kN);
  // Along the depth: kSector units of a row's 8 numbers, then the next row; the block's threads come round kRound rows.
  static constexpr int kSector = 8 / kN, kStep = kGemmThreads / kSector;
  static constexpr int kRound = kStep < Tile::kSide ? kStep : Tile::kSide;
  static constexpr int kAcross = Tile::kSide / kN;  // along the rows: units of a whole side, then the next depth

  __device__ int row(int u) const {
    const int t = static_cast<int>(threadIdx.x);
    return operand_.along_depth ? t / kSector % kRound + u * kStep % Tile::kSide : t % kAcross * kN;
  }
  __device__ int depth(int u) const {
    const int t = static_cast<int>(threadIdx.x);
    return operand_.along_depth ? t % kSector * kN + (t / kSector / kRound + u * kStep / Tile::kSide) * 8
                                : t / kAcross + u * (kGemmThreads / kAcross);
  }

  const Operand& operand_;
  typename Operand::Row rows_[kUnits];
  bool inside_[kUnits];
  Vector<float, kN> values_[kUnits];
};

// The results of a thread: vector v, element e of it, of rows and of columns.
template <typename Tile>
struct ThreadResults {
  float sum[Tile::kPerThread][Tile::kPerThread] = {};

  // A warp is 4 rows of 8 threads, a block 4 · 2 warps.
  static __device__ int row(int vector) {
    const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    return (16 * vector + static_cast<int>(warp / 2 * 4 + lane / 8)) * Tile::kVector;
  }
  static __device__ int column(int vector) {
    const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    return (16 * vector + static_cast<int>(warp % 2 * 8 + lane % 8)) * Tile::kVector;
  }

  __device__ void add(const float (&a)[Tile::kDepth][Tile::kPitch], const float (&b)[Tile::kDepth][Tile::kPitch]) {
#pragma unroll 2
    for (int k = 0; k < Tile::kDepth; ++k) {
      Vector<float, Tile::kVector> x[Tile::kVectors], y[Tile::kVectors];
#pragma unroll
      for (int v = 0; v < Tile::kVectors; ++v) {
        x[v] = load_shared<Tile::kVector>(&a[k][row(v)]);
        y[v] = load_shared<Tile::kVector>(&b[k][column(v)]);
      }
#pragma unroll
      for (int i = 0; i < Tile::kPerThread; ++i)
#pragma unroll
        for (int j = 0; j < Tile::kPerThread; ++j)
          sum[i][j] += x[i / Tile::kVector].at[i % Tile::kVector] * y[j / Tile::kVector].at[j % Tile::kVector];
    }
  }

  __device__ void next_row() {  // becomes the first
#pragma unroll
    for (int i = 0; i + 1 < Tile::kPerThread; ++i)
#pragma unroll
      for (int j = 0; j < Tile::kPerThread; ++j) sum[i][j] = sum[i + 1][j];
  }
};

// A slab of a tile: Σ over begin <= k < end.
template <typename Tile, int kN, typename A, typename B>
__device__ ThreadResults<Tile> multiply(const A& a, const B& b, const GemmShape& shape, const GemmBlock& block) {
  struct alignas(16) Slices {
    float a[2][Tile::kDepth][Tile::kPitch], b[2][Tile::kDepth][Tile::kPitch];
  };
  GRAFT_SHARED(Slices, slices, [1]);
  ThreadResults<Tile> results;
  SliceLoader<Tile, kN, A> from_a(a, int64_t{block.row_tile} * Tile::kSide, shape.rows);
  SliceLoader<Tile, kN, B> from_b(b, int64_t{block.column_tile} * Tile::kSide, shape.columns);
  from_a.fetch(block.begin, block.end);
  from_b.fetch(block.begin, block.end);
  int half = 0;
  for (int64_t slice = block.begin; slice < block.end; slice += Tile::kDepth, half ^= 1) {
    from_a.put(slices[0].a[half]);
    from_b.put(slices[0].b[half]);
    __syncthreads();  // and who passes it has read what was in the other half
    from_a.fetch(slice + Tile::kDepth, block.end);
    from_b.fetch(slice + Tile::kDepth, block.end);
    results.add(slices[0].a[half], slices[0].b[half]);
  }
  return results;
}

// ---- results to memory

// kN neighbours; `at` counts elements of y, `column` those of bias.
template <int kN, typename T>
__device__ void finish(const Epilogue<T>& out, int64_t at, int64_t column, Vector<float, kN> sum) {
  if (out.bias != nullptr) {
    const Vector<float, kN> bias = load_vector<kN>(out.bias + column, out.aligned);
    for (int n = 0; n < kN; ++n) sum.at[n] += bias.at[n];
  }
  if (out.residual != nullptr) {
    const Vector<float, kN> residual = load_floats<kN>(out.residual + at, out.aligned);
    for (int n = 0; n < kN; ++n) sum.at[n] += residual.at[n];
  }
  for (int n = 0; n < kN; ++n) sum.at[n] = activated(out.activation, sum.at[n]);
  store_floats(out.y + at, sum, out.aligned);
}

// `row_of(i)`: where row i of y begins, from the tensor's first element; negative: nowhere. The thread's rows pass
// through the code of one, or the activations would be compiled (side/16)² times.
template <typename Tile, typename RowOf>
__device__ void store_results(ThreadResults<Tile> results, const GemmCut& cut, const GemmShape& shape,
                              const GemmBlock& block, Epilogue<float> out, const RowOf& row_of) {
  constexpr int kN = Tile::kVector;
  out.y += blockIdx.y * cut.plane;
#pragma unroll 1
  for (int i = 0; i < Tile::kPerThread; ++i, results.next_row()) {
    const int64_t row = int64_t{block.row_tile} * Tile::kSide + ThreadResults<Tile>::row(i / kN) + i % kN;
    const int64_t begin = row < shape.rows ? row_of(row) : -1;
    if (begin < 0) continue;
#pragma unroll
    for (int v = 0; v < Tile::kVectors; ++v) {
      const int64_t column = int64_t{block.column_tile} * Tile::kSide + ThreadResults<Tile>::column(v);
      if (out.vectors) {
        Vector<float, kN> sum;
#pragma unroll
        for (int n = 0; n < kN; ++n) sum.at[n] = results.sum[0][v * kN + n];
        if (column < shape.columns) finish<kN>(out, begin + column, column, sum);
      } else {
#pragma unroll
        for (int n = 0; n < kN; ++n)
          if (column + n < shape.columns)
            finish<1>(out, begin + column + n, column + n, Vector<float, 1>{{results.sum[0][v * kN + n]}});
      }
    }
  }
}

}  // namespace graft::cuda
