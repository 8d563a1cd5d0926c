// How kernels that hold a strip of pixels in registers reach memory: many loads under way at once, and nothing kept or
// begun so early that registers run out.
#pragma once
#include <cstring>

#include "kernels/cuda/memory.h"

namespace graft::cuda {

// Loaded each time anew: what the compiler would keep of the weights from row to row, it has no registers for.
template <int kN>
__device__ inline Vector<float, kN> load_shared(const Vector<float, kN>* address GRAFT_SITE) {
  GRAFT_NOTE(shared, address, sizeof(*address));
#if defined(__CUDA_ARCH__)
  if constexpr (kN == 4) {
    Vector<float, kN> v;
    asm volatile("ld.volatile.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.at[0]), "=f"(v.at[1]), "=f"(v.at[2]), "=f"(v.at[3])
                 : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(address))));
    return v;
  }
#endif
  return *address;
}
template <int kN>
__device__ inline void store_shared(Vector<float, kN>* address, const Vector<float, kN>& v GRAFT_SITE) {
  GRAFT_NOTE(shared, address, sizeof(v));
  *address = v;
}

// Floats where `inside`, else zeros, from memory that a kernel only reads: predicated loads, which need no branches and
// so can all be under way at once.
template <int N, typename T>
__device__ inline Vector<float, N> load_floats_if(const T* address, bool inside GRAFT_SITE) {
  Vector<T, N> v = {};
#if defined(__CUDA_ARCH__)
  constexpr int kBytes = sizeof(v);
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  uint32_t words[kBytes / 4];
  if constexpr (kBytes == 16)
    asm("{ .reg .pred p; setp.ne.b32 p, %5, 0; mov.b32 %0, 0; mov.b32 %1, 0; mov.b32 %2, 0; mov.b32 %3, 0;\n"
        "@p ld.global.nc.v4.b32 {%0, %1, %2, %3}, [%4]; }"
        : "=&r"(words[0]), "=&r"(words[1]), "=&r"(words[2]), "=&r"(words[3])
        : "l"(__cvta_generic_to_global(address)), "r"(static_cast<int>(inside)));
  else if constexpr (kBytes == 8)
    asm("{ .reg .pred p; setp.ne.b32 p, %3, 0; mov.b32 %0, 0; mov.b32 %1, 0;\n"
        "@p ld.global.nc.v2.b32 {%0, %1}, [%2]; }"
        : "=&r"(words[0]), "=&r"(words[1])
        : "l"(__cvta_generic_to_global(address)), "r"(static_cast<int>(inside)));
  else
    asm("{ .reg .pred p; setp.ne.b32 p, %2, 0; mov.b32 %0, 0;\n@p ld.global.nc.b32 %0, [%1]; }"
        : "=&r"(words[0])
        : "l"(__cvta_generic_to_global(address)), "r"(static_cast<int>(inside)));
  memcpy(&v, words, sizeof(v));
#else
  if (inside) v = load_vector<N>(address, true GRAFT_PASS_SITE);
#endif
  Vector<float, N> floats;
#pragma unroll
  for (int i = 0; i < N; ++i) floats.at[i] = converted<float>(v.at[i]);
  return floats;
}

// The compiler forgets how the value came about, and neither keeps what it has computed or loaded from it before, nor
// begins too early: the addresses and weights of a whole strip would fill the registers.
__device__ inline void forget(int32_t& offset) {
#if defined(__CUDA_ARCH__)
  asm volatile("" : "+r"(offset));
#else
  static_cast<void>(offset);
#endif
}
template <typename T>
__device__ inline void forget(T*& pointer) {
#if defined(__CUDA_ARCH__)
  asm volatile("" : "+l"(pointer));
#else
  static_cast<void>(pointer);
#endif
}

}  // namespace graft::cuda
