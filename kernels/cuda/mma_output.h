// From a block's sums to the result: y = act(Σ + bias + residual) in f32, rounded once. Where the depth was split over
// blocks, their sums go to the workspace as they are, and a second kernel adds them, lowest part first.
#pragma once
#include "kernels/cuda/activation.h"
#include "kernels/cuda/mma_tile.h"

namespace graft::cuda {

template <typename T>
struct MmaOutput {
  void* y;
  bool f32;               // y's elements: floats, or T
  const float* bias;      // of a column; nullptr: none
  const T* residual;      // as y, of T; nullptr: none
  Activation activation;  // of the whole sum
  int64_t stride;         // from row to row
  int64_t batch_offset;   // from the results of one batch to the next's
  int64_t batch_columns;  // and in bias
  bool vector;            // four elements at a time: aligned, in whole fours

  // y and what goes with it begin where the batch's results do.
  __device__ void enter_batch(int64_t batch) { move(batch * batch_offset, batch * batch_columns); }
  __device__ int64_t row(int64_t i) const { return i * stride; }  // where it begins; negative: nowhere
  __device__ void move(int64_t elements, int64_t columns) {
    y = f32 ? static_cast<void*>(static_cast<float*>(y) + elements) : static_cast<T*>(y) + elements;
    if (bias != nullptr) bias += columns;
    if (residual != nullptr) residual += elements;
  }
};

inline constexpr int kOutputs = 4;  // elements a thread finishes at a time
using Outputs = Vector<float, kOutputs>;

// `at` counts elements of y.
template <typename T, int kN>
__device__ void finish(const MmaOutput<T>& out, Vector<float, kN> sum, int64_t at, int64_t column) {
  if (out.bias != nullptr) {
    const Vector<float, kN> bias = load_vector<kN>(out.bias + column, out.vector);
#pragma unroll
    for (int i = 0; i < kN; ++i) sum.at[i] += bias.at[i];
  }
  if (out.residual != nullptr) {
    const Vector<float, kN> residual = load_floats<kN>(out.residual + at, out.vector);
#pragma unroll
    for (int i = 0; i < kN; ++i) sum.at[i] += residual.at[i];
  }
#pragma unroll
  for (int i = 0; i < kN; ++i) sum.at[i] = activated(out.activation, sum.at[i]);
  if (out.f32)
    store_vector(static_cast<float*>(out.y) + at, sum, out.vector);
  else
    store_floats(static_cast<T*>(out.y) + at, sum, out.vector);
}

// A fragment's rows lie eight lanes apart; in 16 rows of a warp's quarter, by way of shared memory, they become rows
// that a half or a quarter of the warp writes together. The pad of 8 words lets both ways pass without conflict: pairs
// are written by four rows at once, words 8·row + 2·t of 32.
template <int kQuarter, typename Output, int kRows, int kColumns>
__device__ void store_sums(const Output& out, const FragmentC (&c)[kRows][kColumns], void* shared, int64_t row,
                           int64_t column, int64_t rows, int64_t columns) {
  constexpr int kStride = kQuarter + 8, kLanes = kQuarter / kOutputs, kRowsAtOnce = kWarpLanes / kLanes;
  const int lane = threadIdx.x % kWarpLanes, group = lane / 4, member = lane % 4;
  float* const mine = static_cast<float*>(shared) + threadIdx.x / kWarpLanes * 16 * kStride;
  const int64_t out_column = column + lane % kLanes * kOutputs;
#pragma unroll
  for (int m = 0; m < kRows; ++m) {
    if (m > 0) __syncwarp();  // the rows before these have been read
#pragma unroll
    for (int n = 0; n < kColumns; ++n) {
      float* const to = mine + group * kStride + 8 * n + 2 * member;
      store_shared(to, Vector<float, 2>{{c[m][n].r[0], c[m][n].r[1]}});
      store_shared(to + 8 * kStride, Vector<float, 2>{{c[m][n].r[2], c[m][n].r[3]}});
    }
    __syncwarp();
#pragma unroll 1
    for (int r = lane / kLanes; r < 16; r += kRowsAtOnce) {
      const Outputs sums = load_shared<kOutputs>(mine + r * kStride + lane % kLanes * kOutputs);
      const int64_t out_row = row + 16 * m + r, at = out_row < rows ? out.row(out_row) : -1;
      if (at < 0) continue;
      if (out.vector) {
        if (out_column < columns) finish(out, sums, at + out_column, out_column);
      } else {
#pragma unroll
        for (int i = 0; i < kOutputs; ++i)
          if (out_column + i < columns)
            finish(out, Vector<float, 1>{{sums.at[i]}}, at + out_column + i, out_column + i);
      }
    }
  }
}

// ---- the sums of a depth in parts

inline constexpr int kSumThreads = 256;

// `parts` [splits, n], n being y's elements in rows of out.stride. A thread: four neighbours, or one.
template <typename T>
__global__ __launch_bounds__(kSumThreads) void sum_splits_kernel(const float* parts, int64_t n, int splits,
                                                                 MmaOutput<T> out) {
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * kSumThreads + threadIdx.x;
  if (out.vector) {
    const int64_t at = thread * kOutputs;
    if (at >= n) return;
    Outputs sum = load_vector<kOutputs>(parts + at, true);
    for (int s = 1; s < splits; ++s) {
      const Outputs part = load_vector<kOutputs>(parts + s * n + at, true);
#pragma unroll
      for (int i = 0; i < kOutputs; ++i) sum.at[i] += part.at[i];
    }
    finish(out, sum, at, at % out.stride);
  } else {
    if (thread >= n) return;
    Vector<float, 1> sum = {{load(parts + thread)}};
    for (int s = 1; s < splits; ++s) sum.at[0] += load(parts + s * n + thread);
    finish(out, sum, thread, thread % out.stride);
  }
}

}  // namespace graft::cuda
