// A warp's tensor-core instructions: mma.sync.m16n8k16 on bf16 or f16 with sums in f32, and ldmatrix, which brings its
// operands from shared memory. sm_80 and later. All lanes of the warp call together.
//
// Who holds what (PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type"), with g = lane / 4 and
// t = lane % 4, a register holding two neighbours, the first in its low half:
//   a [16, 16]   r[0]: row g, columns 2t, 2t+1   r[1]: row g + 8   r[2]: row g, columns + 8   r[3]: both
//   b [16, 8]    r[0]: rows 2t, 2t+1 of column g   r[1]: rows + 8
//   c [16, 8]    r[0], r[1]: row g, columns 2t, 2t+1   r[2], r[3]: row g + 8
//
// An 8x8 matrix in shared memory is eight rows of 16 bytes, and ldmatrix gives lane (g, t) the neighbours 2t, 2t+1 of
// row g; transposed, those of column g. So one instruction of four matrices is a whole `a`, or `b` for 16 columns.
#pragma once
#include "kernels/cuda/memory.h"

namespace graft::cuda {

inline constexpr int kWarpLanes = 32;

struct FragmentA {
  uint32_t r[4];
};
struct FragmentB {
  uint32_t r[2];
};
struct FragmentC {
  float r[4];
};

// c += a · b
template <typename T>
__device__ inline void mma(FragmentC& c, const FragmentA& a, const FragmentB& b GRAFT_SITE) {
#if defined(__CUDACC__)
#define GRAFT_MMA(type)                                                               \
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type                 \
               ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
               : "+f"(c.r[0]), "+f"(c.r[1]), "+f"(c.r[2]), "+f"(c.r[3])               \
               : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]))
  if constexpr (std::is_same_v<T, __half>)
    GRAFT_MMA("f16");
  else
    GRAFT_MMA("bf16");
#undef GRAFT_MMA
#else
  cuda_on_host::mma_m16n8k16<T>(c.r, a.r, b.r, site);
#endif
}

// Four 8x8 matrices; lanes 8i to 8i + 7 give the addresses of the rows of matrix i, which r[i] receives.
template <bool kTransposed>
__device__ inline void load_matrices(uint32_t (&r)[4], const void* row GRAFT_SITE) {
#if defined(__CUDACC__)
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if constexpr (kTransposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
#else
  GRAFT_NOTE(shared, row, 16);
  cuda_on_host::load_matrices(r, row, kTransposed, site);
#endif
}

}  // namespace graft::cuda
