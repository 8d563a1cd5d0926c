// A matrix as an operand of a product on tensor cores (mma_tile.h).
#pragma once
#include "kernels/cuda/mma_tile.h"

namespace graft::cuda {

// [extent, depth], the elements of a line along the one axis or the other.
template <typename T, bool kDepthMajorAxis>
struct MmaMatrix {
  static constexpr bool kDepthMajor = kDepthMajorAxis;
  using Index = int64_t;  // what it adds to the offset; negative: outside
  using Step = int64_t;

  const T* data;
  int64_t extent, depth;
  int64_t line;          // from line to line
  int64_t batch_offset;  // from matrix to matrix
  bool vector;           // lines of whole chunks, aligned

  __device__ void enter_batch(int64_t batch) { data += batch * batch_offset; }
  __device__ Index index(int64_t i) const { return i < extent ? i * (kDepthMajor ? line : 1) : -1; }
  __device__ Step step(int64_t k) const { return k < depth ? k * (kDepthMajor ? 1 : line) : -1; }
  __device__ const T* at(Index i, Step k) const { return (i | k) >= 0 ? data + i + k : nullptr; }
};

}  // namespace graft::cuda
