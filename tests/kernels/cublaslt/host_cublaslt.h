// cuBLASLt's part, played on the host: a table of its functions that compute, in f64, in the memory of the host-run
// device, and refuse what is not as cuBLASLt wants it.
#pragma once
#include <driver_types.h>

#include "kernels/cuda/cublaslt_library.h"

namespace graft::test {

struct HostCublasLt {
  // What a test says.
  bool has_algorithm = true;
  int algorithms = 1;             // that the heuristic knows
  size_t workspace_bytes = 1000;  // of every algorithm
  cublasStatus_t outcome = CUBLAS_STATUS_SUCCESS;
  // What happened.
  int handles = 0, heuristics = 0, products = 0;
  cudaStream_t last_stream = nullptr;
  cublasComputeType_t last_compute = CUBLAS_COMPUTE_32F;
  int last_algorithm = -1;
};
HostCublasLt& host_cublaslt();

}  // namespace graft::test
