// What a kernel source sees when g++ compiles it: CUDA's own types and declarations, and the words of the language that
// CUDA adds, executed on the host with one fiber a thread. tests/cuda_on_host/README.md tells how; control.h is the
// tests' side.
//
// Rules for such sources: shared memory is declared through the macros, kernels are launched through launch_kernel(),
// `__global__ __launch_bounds__(N) void f` stands in that order, no thread returns before a barrier that others reach,
// memory is ordered by barriers and __syncwarp() alone (a shuffle orders nothing, nor does an atomic), and no `benign`
// race is benign.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <device_launch_parameters.h>

#include <cstddef>
#include <memory>
#include <source_location>
#include <tuple>
#include <type_traits>

#include "tests/cuda_on_host/device_functions.h"
#include "tests/cuda_on_host/tensor_cores.h"

#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __shared__
#define __shared__ declare_shared_memory_through_GRAFT_SHARED

// GRAFT_SHARED(float, tile, [32][33]);   a reference to an array that the block's threads share
#define GRAFT_SHARED(T, name, ...)                                                                      \
  typedef T name##_shared_type __VA_ARGS__;                                                             \
  static constinit ::graft::cuda_on_host::SharedArray name##_shared{#name, sizeof(name##_shared_type)}; \
  name##_shared_type& name = *static_cast<name##_shared_type*>(::graft::cuda_on_host::shared_array(name##_shared))
// GRAFT_DYNAMIC_SHARED(float4, rows);   of the launch's size
#define GRAFT_DYNAMIC_SHARED(T, name) T* name = static_cast<T*>(::graft::cuda_on_host::dynamic_shared())

namespace graft::cuda_on_host {

struct SharedArray {  // one for each declaration
  const char* name;
  size_t bytes;
  uint32_t block = 0;  // the run of a block that `memory` belongs to
  void* memory = nullptr;
};
void* shared_array(SharedArray&);
void* dynamic_shared();

// A launch, as the stream keeps it: the arguments are copied when it is queued, the kernel runs later.
struct KernelCall {
  const void* kernel;
  std::shared_ptr<const void> arguments;
  size_t argument_bytes;
  void (*invoke)(const void* kernel, const void* arguments);
};
cudaError_t enqueue_kernel(KernelCall, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t);

template <typename... P, typename... A>
cudaError_t launch_kernel(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                          A&&... arguments) {
  static_assert((std::is_trivially_copyable_v<P> && ...), "a kernel's arguments are copied byte by byte");
  using Arguments = std::tuple<std::remove_const_t<P>...>;
  static_assert(sizeof(Arguments) <= 4096, "a kernel takes at most 4096 bytes of arguments");
  const auto invoke = [](const void* address, const void* bytes) {
    std::apply(reinterpret_cast<void (*)(P...)>(const_cast<void*>(address)), *static_cast<const Arguments*>(bytes));
  };
  return enqueue_kernel(
      {reinterpret_cast<const void*>(kernel),
       std::make_shared<const Arguments>(static_cast<P>(std::forward<A>(arguments))...), sizeof(Arguments), invoke},
      grid, block, shared_bytes, stream);
}

// The access log (access_log.h): every load and store of global memory, and of shared memory, that a kernel makes
// through its wrappers. A misaligned access of 2, 4, 8 or 16 bytes is an error whether the log is on or not.
void note_load(const void*, size_t bytes, std::source_location);
void note_store(const void*, size_t bytes, std::source_location);
void note_shared(const void*, size_t bytes, std::source_location);

// cp.async: a copy from global to shared memory which has happened for sure only after the calling thread waited for
// its group. Here it happens then, and not before. bytes: 4, 8 or 16; behind `source_bytes` of the source come zeros.
void async_copy(void* shared, const void* global, size_t bytes, size_t source_bytes,
                std::source_location = std::source_location::current());
inline void async_copy(void* shared, const void* global, size_t bytes,
                       std::source_location site = std::source_location::current()) {
  async_copy(shared, global, bytes, bytes, site);
}
void async_commit();              // cp.async.commit_group
void async_wait(size_t pending);  // cp.async.wait_group: all but the newest `pending` groups are done

}  // namespace graft::cuda_on_host
