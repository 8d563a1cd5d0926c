// How a primitive finds its kernel. Every family is compiled once for each instruction set (Highway's foreach_target)
// and enters its functions into that set's KernelTable; Highway's own dispatcher is not used, as it needs its library.
#pragma once
#include <cstdint>

#include "contract/backend.h"
#include "contract/check_args.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/thread_pool.h"

namespace graft::cpu {

// What convolution and matrix product offer to compile: weights packed once, in the order their kernels read.
// `Args` are Conv2dArgs (weight [K,R,S,C/groups]) or MatmulArgs (b [N,K], transposed).
template <typename Args>
struct PackedOp {
  int64_t (*packed_floats)(const Args&) = nullptr;
  int64_t (*workspace_bytes)(int threads, const Args&) = nullptr;
  // Rows [first, first + rows) of the weight, each [C/groups][R][S] as files have it, times scale[i] (or 1).
  void (*pack_rows)(const Args&, int64_t first, int64_t rows, const float* source, const float* scale,
                    float* packed) = nullptr;
  Status (*run)(CallContext&, const Args&, const float* packed) = nullptr;
};

struct KernelTable {
  Status (*run[kPrimitiveCount])(CallContext*, const void* args) = {};
  int64_t (*workspace_bytes[kPrimitiveCount])(int threads, const void* args) = {};  // nullptr: none
  PackedOp<Conv2dArgs> packed_conv2d;
  PackedOp<MatmulArgs> packed_matmul;
};

// Backend::self
struct CpuBackend {
  ThreadPool pool;
  CpuIsa isa;
  const KernelTable* table;
  char description[48];
};

inline ThreadPool& pool_of(const CallContext& c) { return static_cast<CpuBackend*>(c.self)->pool; }

template <typename Args, Status (*Run)(CallContext&, const Args&)>
void enter(KernelTable& table) {
  table.run[static_cast<int>(primitive_of<Args>)] = run_f32<Args, Run>;
}
template <typename Args, int64_t (*Bytes)(int threads, const Args&)>
void enter_workspace(KernelTable& table) {
  table.workspace_bytes[static_cast<int>(primitive_of<Args>)] = [](int threads, const void* args) {
    if (check_f32_args(primitive_of<Args>, args) != Status::ok) return int64_t{0};
    return Bytes(threads, *static_cast<const Args*>(args));
  };
}

// Every family defines this once, with GRAFT_CPU_FAMILY below.
#define GRAFT_CPU_FAMILIES(X) \
  X(conv2d_forward)           \
  X(conv2d_backward_data)     \
  X(conv2d_backward_weight)   \
  X(matmul)                   \
  X(depthwise)                \
  X(depthwise_backward)       \
  X(squeeze_excite)           \
  X(batch_norm)               \
  X(elementwise)              \
  X(multiply)                 \
  X(reduction)                \
  X(pooling)                  \
  X(softmax)                  \
  X(optimiser)                \
  X(resize)                   \
  X(layout)                   \
  X(random)

#define X(family) void enter_##family(CpuIsa isa, KernelTable& table);
GRAFT_CPU_FAMILIES(X)
#undef X

// At the end of a family's file, inside #if HWY_ONCE: hands its three (static) `enter_kernels` on.
#define GRAFT_CPU_FAMILY(family)                        \
  namespace graft::cpu {                                \
  void enter_##family(CpuIsa isa, KernelTable& table) { \
    switch (isa) {                                      \
      case CpuIsa::sse4:                                \
        return N_SSE4::enter_kernels(table);            \
      case CpuIsa::avx2:                                \
        return N_AVX2::enter_kernels(table);            \
      case CpuIsa::avx512:                              \
        return N_AVX3::enter_kernels(table);            \
    }                                                   \
  }                                                     \
  }

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

}  // namespace graft::cpu
