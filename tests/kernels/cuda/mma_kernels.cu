#include "kernels/cuda/mma_launchers.h"
#include "kernels/cuda/mma_tile.h"
#include "tests/kernels/cuda/mma_kernels.h"

namespace graft::test {

using namespace cuda;

template <typename T>
__global__ __launch_bounds__(32) void mma_once_kernel(const uint32_t* a, const uint32_t* b, float* c) {
  const unsigned lane = threadIdx.x;
  FragmentA left;
  FragmentB right;
  FragmentC sums;
  for (unsigned i = 0; i < 4; ++i) left.r[i] = a[lane * 4 + i];
  for (unsigned i = 0; i < 2; ++i) right.r[i] = b[lane * 2 + i];
  for (unsigned i = 0; i < 4; ++i) sums.r[i] = c[lane * 4 + i];
  mma<T>(sums, left, right);
  for (unsigned i = 0; i < 4; ++i) c[lane * 4 + i] = sums.r[i];
}

template <bool kTransposed>
__global__ __launch_bounds__(32) void load_matrices_kernel(const uint16_t* matrices, uint32_t* registers) {
  GRAFT_SHARED(Chunk, rows, [32]);
  const unsigned lane = threadIdx.x;
  rows[lane] = reinterpret_cast<const Chunk*>(matrices)[lane];
  __syncwarp();
  uint32_t r[4];
  load_matrices<kTransposed>(r, &rows[lane]);
  for (unsigned i = 0; i < 4; ++i) registers[lane * 4 + i] = r[i];
}

template <bool kDepthMajor>
__global__ __launch_bounds__(32) void operand_tile_kernel(const uint16_t* operand, uint32_t* registers) {
  using Tile = OperandTile<128, kDepthMajor>;
  GRAFT_SHARED(Chunk, tile, [Tile::kChunks]);
  const unsigned lane = threadIdx.x;
  for (int i = static_cast<int>(lane); i < Tile::kChunks; i += 32)
    tile[Tile::place(i / Tile::kLineChunks, i % Tile::kLineChunks)] = reinterpret_cast<const Chunk*>(operand)[i];
  __syncwarp();
  for (int i = 0; i < 8; ++i)
    for (int k = 0; k < 2; ++k) {
      uint32_t r[4];
      Tile::load(r, tile, 16 * i, 16 * k);
      for (int j = 0; j < 4; ++j) registers[((i * 2 + k) * 32 + static_cast<int>(lane)) * 4 + j] = r[j];
    }
}

template <typename T>
cudaError_t launch_mma(const uint32_t* a, const uint32_t* b, float* c) {
  return cuda_on_host::launch_kernel(mma_once_kernel<T>, dim3(1), dim3(32), 0, nullptr, a, b, c);
}
template cudaError_t launch_mma<__nv_bfloat16>(const uint32_t*, const uint32_t*, float*);
template cudaError_t launch_mma<__half>(const uint32_t*, const uint32_t*, float*);

cudaError_t launch_load_matrices(const uint16_t* matrices, uint32_t* registers, bool transposed) {
  return cuda_on_host::launch_kernel(transposed ? load_matrices_kernel<true> : load_matrices_kernel<false>, dim3(1),
                                     dim3(32), 0, nullptr, matrices, registers);
}
cudaError_t launch_operand_tile(const uint16_t* operand, uint32_t* registers, bool depth_major) {
  return cuda_on_host::launch_kernel(depth_major ? operand_tile_kernel<true> : operand_tile_kernel<false>, dim3(1),
                                     dim3(32), 0, nullptr, operand, registers);
}

template <typename T>
Status matmul(CallContext& call, const MatmulArgs& args) {
  return matmul_mma<T>(call, args, 0);
}
template Status matmul<__nv_bfloat16>(CallContext&, const MatmulArgs&);
template Status matmul<__half>(CallContext&, const MatmulArgs&);
int64_t matmul_workspace(const MatmulArgs& args) { return matmul_mma_workspace(args, 0); }

}  // namespace graft::test
