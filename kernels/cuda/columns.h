// Sums down the columns of a [rows, C] matrix, in an order that its shape alone decides.
//
// The matrix is cut into tiles of columns and slabs of rows. A thread owns neighbouring channels and strides down its
// slab; the threads of a column meet in shared memory (merge_lanes); the slabs of a column meet in a second kernel
// (merge_slabs).
#pragma once
#include "kernels/cuda/launch.h"
#include "kernels/cuda/memory.h"

namespace graft::cuda {

inline constexpr int kThreads = 256;
inline constexpr int kUnroll = 4;      // rows a thread holds at once
inline constexpr int kMaxSlabs = 256;  // slabs of a column
inline constexpr int kMergeColumns = 32, kMergeRows = 8;

// How a [rows, C] matrix is cut.
struct Tiling {
  int64_t rows = 0, channels = 0;
  int per_thread = 1;                // kN: channels a thread owns; they never straddle a row
  int columns = 1, lanes = 1;        // threads of a block: columns × lanes, a lane being a row of threads
  int64_t tiles = 0;                 // blocks across
  int64_t slabs = 0, slab_rows = 0;  // blocks down
  dim3 grid() const { return dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(slabs)); }
  dim3 block() const { return dim3(static_cast<unsigned>(columns), static_cast<unsigned>(lanes)); }

  // At most `most` slabs, each of whole steps: rows that keep a block busy once.
  void cut_rows(int64_t most) {
    const int64_t step = int64_t{lanes} * kUnroll, wanted = ceil_div(rows, step);
    slabs = wanted < most ? wanted : most;
    slab_rows = slabs > 0 ? ceil_div(ceil_div(rows, slabs), step) * step : 0;
    if (slabs > 0) slabs = ceil_div(rows, slab_rows);
  }
};

inline Tiling tiling_of(DType dtype, int64_t rows, int64_t channels) {
  Tiling t{.rows = rows, .channels = channels};
  const int per_vector = 16 / static_cast<int>(size_of(dtype));
  t.per_thread = channels % per_vector == 0 ? per_vector : 1;
  const int64_t wide = channels / t.per_thread;
  while (t.columns < wide && t.columns < 32) t.columns *= 2;
  t.lanes = kThreads / t.columns;
  t.tiles = ceil_div(wide, t.columns);
  t.cut_rows(kMaxSlabs);
  return t;
}

inline Tiling tiling_of(const TensorView& x) {
  const int64_t channels = x.shape.channels();
  return tiling_of(x.dtype, channels > 0 ? x.numel() / channels : 0, channels);
}

// One thread a channel and row of threads: the kernels in which the slabs meet.
inline LaunchConfig merge_config(const char* name, int64_t channels) {
  return {name, dim3(static_cast<unsigned>(ceil_div(channels, kMergeColumns))), dim3(kMergeColumns, kMergeRows)};
}

// The sum of some values; what merge_lanes asks of the things it merges.
struct Sum {
  float value = 0;
  __device__ void merge(const Sum& other) { value += other.value; }
};

// Merges the lanes of each column, lane 0 ends with the whole: lane l takes in l + half, a fixed order. A block may
// hold several matrices, one behind the other along z.
template <typename Sums, int kN>
__device__ void merge_lanes(Sums (&mine)[kN]) {
  GRAFT_SHARED(Sums, shared, [kThreads * kN]);
  const unsigned stride = blockDim.x * blockDim.y * blockDim.z;
  const unsigned self = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  for (int k = 0; k < kN; ++k) shared[k * stride + self] = mine[k];
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half)
      for (int k = 0; k < kN; ++k) {
        mine[k].merge(shared[k * stride + self + half * blockDim.x]);
        shared[k * stride + self] = mine[k];
      }
  }
}

// Partial sums lie in two planes [slabs, C] of the workspace, so that they are stored and loaded as the tensors are.
struct Planes {
  float* first;
  int64_t slabs, channels;
  __device__ float* at(int plane, int64_t slab, int64_t c) const {
    return first + (plane * slabs + slab) * channels + c;
  }
};
constexpr int64_t planes_bytes(int64_t slabs, int64_t channels) {
  return 2 * slabs * channels * static_cast<int64_t>(sizeof(float));
}

template <int kN, typename Sums>
__device__ void store_sums(const Planes& planes, int64_t slab, int64_t c, const Sums (&sums)[kN]) {
  Vector<float, kN> first, second;
  for (int k = 0; k < kN; ++k) sums[k].split(first.at[k], second.at[k]);
  store_vector(planes.at(0, slab, c), first, true);
  store_vector(planes.at(1, slab, c), second, true);
}

// The sums of channel c over all slabs, `of(slab)` each, by one thread of each column; the others return false.
template <typename Sums, typename Of>
__device__ bool merge_slabs(const Planes& planes, int64_t c, Of of, Sums* out) {
  Sums sums[1];
  if (c < planes.channels)
    for (int64_t slab = threadIdx.y; slab < planes.slabs; slab += blockDim.y) sums[0].merge(of(slab));
  merge_lanes<Sums, 1>(sums);
  *out = sums[0];
  return threadIdx.y == 0 && c < planes.channels;
}

}  // namespace graft::cuda
