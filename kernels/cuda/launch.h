// How a kernel starts. A launcher returns when its work is queued; nothing here waits, allocates or reads device
// memory.
#pragma once
#include "kernels/cuda/platform.h"
#include "kernels/cuda/status.h"

namespace graft::cuda {

struct LaunchConfig {
  const char* name;  // of the kernel, for errors and reports; a string literal
  dim3 grid, block;
  size_t shared_bytes = 0;  // dynamic shared memory
};

// Queues kernel(arguments…) on the call's stream. An empty grid is no error: there is nothing to do.
template <typename... Parameters, typename... Arguments>
Status launch(CallContext& call, const LaunchConfig& config, void (*kernel)(Parameters...), Arguments&&... arguments) {
  call.kernel = config.name;
  if (config.grid.x == 0 || config.grid.y == 0 || config.grid.z == 0) return Status::ok;
  const auto stream = static_cast<cudaStream_t>(call.stream);
#if defined(__CUDACC__)
  kernel<<<config.grid, config.block, config.shared_bytes, stream>>>(static_cast<Parameters>(arguments)...);
#else
  (void)cuda_on_host::launch_kernel(kernel, config.grid, config.block, config.shared_bytes, stream,
                                    static_cast<Parameters>(arguments)...);
#endif
  return launch_status(cudaPeekAtLastError(), config.name, config.grid, config.block, config.shared_bytes);
}

}  // namespace graft::cuda
