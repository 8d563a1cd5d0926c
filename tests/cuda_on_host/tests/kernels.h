// Small kernels that are right, each with defects to plant.
#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

namespace graft::cuda_on_host::test {

enum class Bug {
  none,
  missing_barrier,
  missing_second_barrier,
  missing_syncwarp,
  missing_wait,
  fence_of_half,
  early_return,
  wrong_mask,
  returned_lane,
  diverging_barriers,
  global_overrun,
  global_read_overrun,
  shared_overrun,
  dynamic_shared_overrun,
  row_overrun,
  uninitialised_shared,
  racing_sum,
  misaligned,
  misaligned_plain,
};

// y[r] = Σ_c x[r, c]: a block of 64 threads takes two rows, by shuffles and shared memory.
cudaError_t row_sums(Bug, const float* x, float* y, int rows, int columns, cudaStream_t);
// y[c, r] = x[r, c] through a tile of shared memory; 32 x 8 threads.
cudaError_t transpose(Bug, const float* x, float* y, int rows, int columns, cudaStream_t);
// y[i] = x[i − 1] + x[i] + x[i + 1], zeros beyond the ends; the block's x and its neighbours are in shared memory of
// the launch's size.
cudaError_t stencil(Bug, const float* x, float* y, int n, cudaStream_t);
// y[i] = x of the warp's lane opposite (31 − lane), through shared memory; n is a multiple of 32.
cudaError_t mirror_warps(Bug, const float* x, float* y, int n, cudaStream_t);
// y[i] = x of the lane opposite in its half warp, then of the lane opposite in the warp, through shared memory that the
// halves order on their own before they meet; 32 values.
cudaError_t mirror_halves(Bug, const float* x, float* y, cudaStream_t);
// *total += Σ x, in integers, by atomics.
cudaError_t add_to_total(Bug, const int* x, int* total, int n, cudaStream_t);
// y = x by 16-byte accesses with a tail, through wrappers that note them.
cudaError_t copy_wide(Bug, const float* x, float* y, int n, cudaStream_t);
// The same, a strided read of it: y[i] = x[i · stride].
cudaError_t copy_strided(const float* x, float* y, int n, int stride, cudaStream_t);
// y[i] = 2 x[i] through shared memory filled by async_copy, two tiles of 128 under way.
cudaError_t double_by_pipeline(Bug, const float* x, float* y, int n, cudaStream_t);
// x[i] = a x[i] + b
cudaError_t scale(float* x, float a, float b, int n, cudaStream_t);
// x[i] = *a · x[i]: the factor is in device memory
cudaError_t scale_by(float* x, const float* a, int n, cudaStream_t);
// y[i] = x[i] as bytes, an odd size: sub-word accesses
cudaError_t copy_bytes(const uint8_t* x, uint8_t* y, int n, cudaStream_t);
// The block's shared memory filled by a walk along rows or, with conflicts, along columns.
cudaError_t walk_shared(bool padded, float* y, cudaStream_t);
// A launch as given, of a kernel that does nothing.
cudaError_t launch_nothing(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t);
const void* kernel_that_does_nothing();
// Shuffles, votes and collectives over parts of a warp: out[i] for 32 lanes and 16 results.
cudaError_t collectives(unsigned* out, cudaStream_t);

}  // namespace graft::cuda_on_host::test
