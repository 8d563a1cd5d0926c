// What a kernel source may use, for both of its compilers. nvcc: CUDA, and the three names below. g++:
// tests/cuda_on_host gives the same names and CUDA's own, executed on the host one fiber a thread, so that the very
// source which runs on a GPU is tested without one. Rules that make this possible: shared memory is declared through
// the macros, kernels are launched through launch(), `__global__ __launch_bounds__(N) void f` stands in that order, and
// no thread returns before a barrier.
#pragma once
#include "contract/backend.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

// GRAFT_SHARED(float, tile, [32][33]);
#define GRAFT_SHARED(T, name, ...) __shared__ T name __VA_ARGS__
// GRAFT_DYNAMIC_SHARED(float4, rows);  its size is LaunchConfig::shared_bytes; one a kernel
#define GRAFT_DYNAMIC_SHARED(T, name)                                   \
  extern __shared__ __align__(16) unsigned char graft_dynamic_shared[]; \
  T* name = reinterpret_cast<T*>(graft_dynamic_shared)
#elif __has_include(<cuda_on_host.h>)
#include <cuda_on_host.h>
#else  // a source of the plug-in that holds no kernel
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#endif

namespace graft {
template <>
inline constexpr DType dtype_of<__nv_bfloat16> = DType::bf16;
template <>
inline constexpr DType dtype_of<__half> = DType::f16;
}  // namespace graft
