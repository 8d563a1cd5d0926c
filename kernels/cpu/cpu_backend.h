// The CPU backend: graft's own NHWC f32 kernels, one source for SSE4, AVX2 and AVX-512, chosen when it is made.
#pragma once
#include <cstdint>

#include "contract/backend.h"

namespace graft {

enum class CpuIsa : int32_t { sse4 = 0, avx2 = 1, avx512 = 2 };

struct CpuOptions {
  int32_t threads = 0;              // calling thread included; 0: as many as the affinity of the process allows
  CpuIsa max_isa = CpuIsa::avx512;  // GRAFT_MAX_ISA=sse4|avx2|avx512 lowers it further; never above what the CPU has
};

// The instruction set that a backend made here runs on.
CpuIsa cpu_isa_of(const Backend&);

}  // namespace graft

// Fills `out`; `options` may be null. out->destroy(out->self) ends the threads. Safe to use from many threads at once.
extern "C" graft::Status graft_cpu_backend(const graft::CpuOptions* options, graft::Backend* out);
