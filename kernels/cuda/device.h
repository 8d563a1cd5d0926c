// The contract's device functions over CUDA's run-time.
#pragma once
#include "contract/backend.h"

namespace graft::cuda {

// Backend::self
struct CudaBackend {
  int32_t device = 0;
  int32_t multiprocessors = 0;
  char description[320] = "";
};

DeviceFunctions device_functions();

}  // namespace graft::cuda
