// cp.async (sm_80): 16 bytes from global to shared memory behind the thread's back, without passing through registers
// or L1. A thread sees what it copied after it has waited for the copy's group; the other threads after a barrier that
// follows. PTX ISA, "Data Movement and Conversion Instructions: Asynchronous copy".
#pragma once
#include "kernels/cuda/memory.h"

namespace graft::cuda {

// What is not present becomes zeros; `global` is then not read, but is an address all the same.
template <typename T>
__device__ inline void async_copy(void* shared, const T* global, bool present GRAFT_SITE) {
#if defined(__CUDACC__)
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(shared))),
      "l"(__cvta_generic_to_global(global)), "r"(present ? 16 : 0)
      : "memory");
#else
  if (present) GRAFT_NOTE(load, global, 16);
  GRAFT_NOTE(shared, shared, 16);
  cuda_on_host::async_copy(shared, global, 16, present ? 16 : 0, site);
#endif
}

// Ends the group of copies that the thread has begun since the last; it may be empty.
__device__ inline void async_commit() {
#if defined(__CUDACC__)
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  cuda_on_host::async_commit();
#endif
}

// Waits until at most the newest kPending groups are under way.
template <int kPending>
__device__ inline void async_wait() {
#if defined(__CUDACC__)
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
#else
  cuda_on_host::async_wait(kPending);
#endif
}

}  // namespace graft::cuda
