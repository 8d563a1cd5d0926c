// The warp's matrix instructions as the PTX ISA describes them, on the host. Registers go from lane to lane by
// exchange; a row of ldmatrix is read by the lane that gives its address.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <source_location>

namespace graft::cuda_on_host {

// mma.sync.m16n8k16: c += a · b. Products are exact; the order of a device's sums is its own, here k runs upward.
// T: __nv_bfloat16 or __half.
template <typename T>
void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], std::source_location);

// ldmatrix.m8n8.x4, .trans if transposed
void load_matrices(uint32_t (&r)[4], const void* row, bool transposed, std::source_location);

}  // namespace graft::cuda_on_host
