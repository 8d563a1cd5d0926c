// One warp at work with kernels/cuda/mma.h, for tests of who holds what, and the launcher of the whole product.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include "contract/backend.h"

namespace graft::test {

// Registers of each lane: a [32][4], b [32][2], c [32][4]; c += a · b.
template <typename T>
cudaError_t launch_mma(const uint32_t* a, const uint32_t* b, float* c);

// Four matrices [4][8][8] of 16-bit elements, to registers [32][4].
cudaError_t launch_load_matrices(const uint16_t* matrices, uint32_t* registers, bool transposed);

// A 128 x 32 operand as memory holds it, [128][32] or [32][128], written to a tile chunk by chunk and read back as
// fragments: registers [8][2][32][4], of extent 16·i and depth 16·k.
cudaError_t launch_operand_tile(const uint16_t* operand, uint32_t* registers, bool depth_major);

template <typename T>
Status matmul(CallContext&, const MatmulArgs&);
int64_t matmul_workspace(const MatmulArgs&);

}  // namespace graft::test
