#include <cuda_on_host.h>

#include "tests/cuda_on_host/tests/kernels.h"

namespace graft::cuda_on_host::test {
namespace {

constexpr int kThreads = 64;
constexpr unsigned kAllLanes = 0xffffffffu;

int blocks_for(int n) { return (n + kThreads - 1) / kThreads; }

template <Bug kBug>
__global__ __launch_bounds__(kThreads) void row_sums_kernel(const float* x, float* y, int rows, int columns) {
  GRAFT_SHARED(float, partial, [kThreads / 32]);
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
  if (kBug == Bug::early_return && thread >= columns) return;
  if (kBug == Bug::returned_lane && thread == 63) return;
  for (int r = 2 * blockIdx.x; r < min(rows, 2 * static_cast<int>(blockIdx.x) + 2); ++r) {
    const float* row = x + static_cast<int64_t>(r) * columns;
    float sum = 0;
    for (int c = thread; c < columns + (kBug == Bug::global_read_overrun ? 1 : 0); c += kThreads) sum += row[c];
    for (int step = 16; step > 0; step /= 2)
      sum += __shfl_xor_sync(kBug == Bug::wrong_mask ? 0xffffu : kAllLanes, sum, step);
    if (lane == 0 && (kBug != Bug::uninitialised_shared || warp == 0))
      partial[kBug == Bug::shared_overrun ? warp + 1 : warp] = sum;
    if (kBug == Bug::diverging_barriers) {
      if (thread < 32)
        __syncthreads();
      else
        __syncthreads();
    } else if (kBug != Bug::missing_barrier) {
      __syncthreads();
    }
    if (thread == 0) y[r + (kBug == Bug::global_overrun ? 1 : 0)] = partial[0] + partial[1];
    if (kBug != Bug::missing_second_barrier) __syncthreads();
  }
}

template <Bug kBug>
__global__ __launch_bounds__(256) void transpose_kernel(const float* x, float* y, int rows, int columns) {
  GRAFT_SHARED(float, tile, [32][33]);
  const int c0 = blockIdx.x * 32, r0 = blockIdx.y * 32, tx = threadIdx.x;
  for (int i = threadIdx.y; i < 32; i += 8)
    if (r0 + i < rows && c0 + tx < columns)
      tile[i][kBug == Bug::row_overrun ? tx + 2 : tx] = x[(r0 + i) * columns + c0 + tx];
  if (kBug != Bug::missing_barrier) __syncthreads();
  for (int i = threadIdx.y; i < 32; i += 8)
    if (c0 + i < columns && r0 + tx < rows)
      y[(c0 + i) * rows + r0 + tx] = tile[tx][kBug == Bug::row_overrun ? i + 2 : i];
}

template <Bug kBug>
__global__ __launch_bounds__(kThreads) void stencil_kernel(const float* x, float* y, int n) {
  GRAFT_DYNAMIC_SHARED(float, near);
  const int first = blockIdx.x * kThreads - 1, thread = threadIdx.x;
  for (int i = thread; i < kThreads + (kBug == Bug::dynamic_shared_overrun ? 3 : 2); i += kThreads)
    near[i] = first + i >= 0 && first + i < n ? x[first + i] : 0.0f;
  if (kBug != Bug::missing_barrier) __syncthreads();
  const int i = first + 1 + thread;
  if (i < n) y[i] = near[thread] + near[thread + 1] + near[thread + 2];
}

template <Bug kBug>
__global__ __launch_bounds__(kThreads) void mirror_warps_kernel(const float* x, float* y, int n) {
  GRAFT_SHARED(float, line, [kThreads]);
  const int thread = threadIdx.x, i = blockIdx.x * kThreads + thread;
  if (i < n) line[thread] = x[i];
  if (kBug != Bug::missing_syncwarp) __syncwarp();
  if (i < n) y[i] = line[thread / 32 * 32 + 31 - thread % 32];
}

template <Bug kBug>
__global__ __launch_bounds__(32) void mirror_halves_kernel(const float* x, float* y) {
  GRAFT_SHARED(float, line, [32]);
  GRAFT_SHARED(float, mirrored, [32]);
  const unsigned lane = threadIdx.x, half = lane < 16 ? 0xffffu : 0xffff0000u;
  line[lane] = x[lane];
  __syncwarp(half);
  mirrored[lane] = line[lane / 16 * 16 + 15 - lane % 16];
  if (lane < 16) __syncwarp(half);  // one half is a fence ahead
  __syncwarp(kBug == Bug::fence_of_half ? half : kAllLanes);
  y[lane] = mirrored[31 - lane];
  __syncwarp();
  line[31 - lane] = 0;  // read by others before the fences
}

template <Bug kBug>
__global__ __launch_bounds__(kThreads) void add_to_total_kernel(const int* x, int* total, int n) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  int sum = i < n ? x[i] : 0;
  for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(kAllLanes, sum, static_cast<unsigned>(step));
  if (threadIdx.x % 32 != 0) return;
  if (kBug == Bug::racing_sum)
    *total += sum;
  else
    atomicAdd(total, sum);
}

float4 load_wide(const float* p, std::source_location site = std::source_location::current()) {
  note_load(p, 16, site);
  return *reinterpret_cast<const float4*>(p);
}
void store_wide(float* p, float4 v, std::source_location site = std::source_location::current()) {
  note_store(p, 16, site);
  *reinterpret_cast<float4*>(p) = v;
}
float load_one(const float* p, std::source_location site = std::source_location::current()) {
  note_load(p, 4, site);
  return *p;
}
void store_one(float* p, float v, std::source_location site = std::source_location::current()) {
  note_store(p, 4, site);
  *p = v;
}

__global__ __launch_bounds__(kThreads) void copy_wide_kernel(const float* x, float* y, int n) {
  const int first = (blockIdx.x * kThreads + threadIdx.x) * 4;
  if (first + 4 <= n)
    store_wide(y + first, load_wide(x + first));
  else
    for (int i = first; i < n; ++i) store_one(y + i, load_one(x + i));
}

// Without the wrappers.
__global__ __launch_bounds__(kThreads) void copy_plain_kernel(const float4* x, float4* y, int n) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i < n) y[i] = x[i];
}

__global__ __launch_bounds__(kThreads) void copy_strided_kernel(const float* x, float* y, int n, int stride) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i < n) store_one(y + i, load_one(x + i * stride));
}

constexpr int kTile = 128;

template <Bug kBug>
__global__ __launch_bounds__(kTile / 4) void double_by_pipeline_kernel(const float* x, float* y, int n) {
  GRAFT_SHARED(float4, tiles, [2][kTile / 4]);
  const int thread = threadIdx.x, count = n / kTile;
  const auto fetch = [&](int tile) {
    if (tile < count) async_copy(&tiles[tile % 2][thread], x + tile * kTile + thread * 4, 16);
    async_commit();
  };
  fetch(0);
  for (int tile = 0; tile < count; ++tile) {
    fetch(tile + 1);
    async_wait(kBug == Bug::missing_wait ? 2 : 1);
    __syncthreads();
    const float4 v = tiles[tile % 2][kTile / 4 - 1 - thread];
    *reinterpret_cast<float4*>(y + tile * kTile + kTile - 4 - thread * 4) = {2 * v.x, 2 * v.y, 2 * v.z, 2 * v.w};
    if (kBug != Bug::missing_barrier) __syncthreads();
  }
  async_wait(0);
}

__global__ __launch_bounds__(kThreads) void scale_kernel(float* x, float a, float b, int n) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i < n) x[i] = a * x[i] + b;
}

__global__ __launch_bounds__(kThreads) void scale_by_kernel(float* x, const float* a, int n) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i < n) x[i] = *a * x[i];
}

__global__ __launch_bounds__(kThreads) void copy_bytes_kernel(const uint8_t* x, uint8_t* y, int n) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i < n) y[i] = x[i];
}

template <int kPitch>
__global__ __launch_bounds__(32) void walk_shared_kernel(float* y) {
  GRAFT_SHARED(float, tile, [32][kPitch]);
  const int lane = threadIdx.x;
  for (int r = 0; r < 32; ++r) {
    note_shared(&tile[r][lane], 4, std::source_location::current());
    tile[r][lane] = static_cast<float>(r);
  }
  __syncwarp();
  float sum = 0;
  for (int c = 0; c < 32; ++c) {
    note_shared(&tile[lane][c], 4, std::source_location::current());
    sum += tile[lane][c];
  }
  y[lane] = sum;
}

__global__ __launch_bounds__(1024) void nothing_kernel() {}

__global__ __launch_bounds__(32) void collectives_kernel(unsigned* out) {
  const unsigned lane = threadIdx.x;
  unsigned r[16] = {};
  r[0] = __shfl_sync(kAllLanes, lane, 5);
  r[1] = __shfl_sync(kAllLanes, lane, 9, 8);
  r[2] = __shfl_xor_sync(kAllLanes, lane, 3);
  r[3] = __shfl_up_sync(kAllLanes, lane, 4u);
  r[4] = __shfl_down_sync(kAllLanes, lane, 4u, 16);
  r[5] = __ballot_sync(kAllLanes, lane % 3 == 0);
  r[6] = static_cast<unsigned>(__any_sync(kAllLanes, lane == 31));
  r[7] = static_cast<unsigned>(__all_sync(kAllLanes, lane < 31));
  // Halves of the warp go their own ways, by a different number of collectives, and meet again.
  if (lane < 16)
    r[8] = __shfl_xor_sync(0xffffu, lane, 8);
  else
    for (int i = 0; i < 3; ++i) r[8] = __shfl_sync(0xffff0000u, lane + r[8], 20);
  r[9] = __shfl_sync(kAllLanes, r[8], 31 - static_cast<int>(lane));
  for (int i = 0; i < 16; ++i) out[lane * 16 + i] = r[i];
}

}  // namespace

#define WITH(bug, ...) \
  if (b == Bug::bug) return launch_kernel(__VA_ARGS__)

cudaError_t row_sums(Bug b, const float* x, float* y, int rows, int columns, cudaStream_t s) {
  const dim3 grid((rows + 1) / 2);
  WITH(missing_barrier, row_sums_kernel<Bug::missing_barrier>, grid, kThreads, 0, s, x, y, rows, columns);
  WITH(missing_second_barrier, row_sums_kernel<Bug::missing_second_barrier>, grid, kThreads, 0, s, x, y, rows, columns);
  WITH(early_return, row_sums_kernel<Bug::early_return>, grid, kThreads, 0, s, x, y, rows, columns);
  WITH(returned_lane, row_sums_kernel<Bug::returned_lane>, grid, kThreads, 0, s, x, y, rows, columns);
  WITH(wrong_mask, row_sums_kernel<Bug::wrong_mask>, grid, kThreads, 0, s, x, y, rows, columns);
  WITH(diverging_barriers, row_sums_kernel<Bug::diverging_barriers>, grid, kThreads, 0, s, x, y, rows, columns);
  WITH(global_overrun, row_sums_kernel<Bug::global_overrun>, grid, kThreads, 0, s, x, y, rows, columns);
  WITH(global_read_overrun, row_sums_kernel<Bug::global_read_overrun>, grid, kThreads, 0, s, x, y, rows, columns);
  WITH(shared_overrun, row_sums_kernel<Bug::shared_overrun>, grid, kThreads, 0, s, x, y, rows, columns);
  WITH(uninitialised_shared, row_sums_kernel<Bug::uninitialised_shared>, grid, kThreads, 0, s, x, y, rows, columns);
  return launch_kernel(row_sums_kernel<Bug::none>, grid, kThreads, 0, s, x, y, rows, columns);
}

cudaError_t transpose(Bug b, const float* x, float* y, int rows, int columns, cudaStream_t s) {
  const dim3 grid((columns + 31) / 32, (rows + 31) / 32), block(32, 8);
  WITH(missing_barrier, transpose_kernel<Bug::missing_barrier>, grid, block, 0, s, x, y, rows, columns);
  WITH(row_overrun, transpose_kernel<Bug::row_overrun>, grid, block, 0, s, x, y, rows, columns);
  return launch_kernel(transpose_kernel<Bug::none>, grid, block, 0, s, x, y, rows, columns);
}

cudaError_t stencil(Bug b, const float* x, float* y, int n, cudaStream_t s) {
  const size_t shared = (kThreads + 2) * sizeof(float);
  WITH(missing_barrier, stencil_kernel<Bug::missing_barrier>, blocks_for(n), kThreads, shared, s, x, y, n);
  WITH(dynamic_shared_overrun, stencil_kernel<Bug::dynamic_shared_overrun>, blocks_for(n), kThreads, shared, s, x, y,
       n);
  return launch_kernel(stencil_kernel<Bug::none>, blocks_for(n), kThreads, shared, s, x, y, n);
}

cudaError_t mirror_warps(Bug b, const float* x, float* y, int n, cudaStream_t s) {
  WITH(missing_syncwarp, mirror_warps_kernel<Bug::missing_syncwarp>, blocks_for(n), kThreads, 0, s, x, y, n);
  return launch_kernel(mirror_warps_kernel<Bug::none>, blocks_for(n), kThreads, 0, s, x, y, n);
}

cudaError_t mirror_halves(Bug b, const float* x, float* y, cudaStream_t s) {
  WITH(fence_of_half, mirror_halves_kernel<Bug::fence_of_half>, 1, 32, 0, s, x, y);
  return launch_kernel(mirror_halves_kernel<Bug::none>, 1, 32, 0, s, x, y);
}

cudaError_t add_to_total(Bug b, const int* x, int* total, int n, cudaStream_t s) {
  WITH(racing_sum, add_to_total_kernel<Bug::racing_sum>, blocks_for(n), kThreads, 0, s, x, total, n);
  return launch_kernel(add_to_total_kernel<Bug::none>, blocks_for(n), kThreads, 0, s, x, total, n);
}

cudaError_t copy_wide(Bug b, const float* x, float* y, int n, cudaStream_t s) {
  if (b == Bug::misaligned_plain)
    return launch_kernel(copy_plain_kernel, blocks_for(n / 4), kThreads, 0, s, reinterpret_cast<const float4*>(x + 1),
                         reinterpret_cast<float4*>(y), n / 4);
  const int shift = b == Bug::misaligned ? 1 : 0;
  return launch_kernel(copy_wide_kernel, blocks_for((n + 3) / 4), kThreads, 0, s, x + shift, y, n - shift);
}

cudaError_t copy_strided(const float* x, float* y, int n, int stride, cudaStream_t s) {
  return launch_kernel(copy_strided_kernel, blocks_for(n), kThreads, 0, s, x, y, n, stride);
}

cudaError_t double_by_pipeline(Bug b, const float* x, float* y, int n, cudaStream_t s) {
  WITH(missing_wait, double_by_pipeline_kernel<Bug::missing_wait>, 1, kTile / 4, 0, s, x, y, n);
  WITH(missing_barrier, double_by_pipeline_kernel<Bug::missing_barrier>, 1, kTile / 4, 0, s, x, y, n);
  return launch_kernel(double_by_pipeline_kernel<Bug::none>, 1, kTile / 4, 0, s, x, y, n);
}

cudaError_t scale(float* x, float a, float b, int n, cudaStream_t s) {
  return launch_kernel(scale_kernel, blocks_for(n), kThreads, 0, s, x, a, b, n);
}

cudaError_t scale_by(float* x, const float* a, int n, cudaStream_t s) {
  return launch_kernel(scale_by_kernel, blocks_for(n), kThreads, 0, s, x, a, n);
}

cudaError_t copy_bytes(const uint8_t* x, uint8_t* y, int n, cudaStream_t s) {
  return launch_kernel(copy_bytes_kernel, blocks_for(n), kThreads, 0, s, x, y, n);
}

cudaError_t walk_shared(bool padded, float* y, cudaStream_t s) {
  if (padded) return launch_kernel(walk_shared_kernel<33>, 1, 32, 0, s, y);
  return launch_kernel(walk_shared_kernel<32>, 1, 32, 0, s, y);
}

cudaError_t launch_nothing(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t s) {
  return launch_kernel(nothing_kernel, grid, block, shared_bytes, s);
}
const void* kernel_that_does_nothing() { return reinterpret_cast<const void*>(nothing_kernel); }

cudaError_t collectives(unsigned* out, cudaStream_t s) { return launch_kernel(collectives_kernel, 1, 32, 0, s, out); }

}  // namespace graft::cuda_on_host::test
