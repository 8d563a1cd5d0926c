// From CUDA's error codes to the contract's, with the text that Device::last_error hands out.
#pragma once
#include <cuda_runtime_api.h>
#include <vector_types.h>

#include "contract/backend.h"

namespace graft::cuda {

// `call` names what failed: "cudaMalloc of 4096 bytes".
Status status_of(cudaError_t, const char* call);
Status launch_status(cudaError_t, const char* kernel, dim3 grid, dim3 block, size_t shared_bytes);

// GRAFT_CUDA_SYNC=1: each call waits for its kernels, so that a kernel that fails is named by the call that queued it
// and not by a wait behind it. For looking into failures: nothing overlaps any more.
Status finished(const CallContext& call, Status status);

const char* last_error_text();  // of this thread
void set_last_error(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace graft::cuda
