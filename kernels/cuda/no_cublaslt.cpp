// In the place of cublaslt_matmul.cpp where there is no cuBLASLt to be called: every matrix product is graft's own.
#include "kernels/cuda/cublaslt_matmul.h"
#include "kernels/cuda/libraries.h"

namespace graft::cuda {

bool calls_cublaslt() { return false; }

CublasLtProducts* make_cublaslt_products() { return nullptr; }
void destroy(CublasLtProducts*) {}

Status cublaslt_matmul(CallContext&, const MatmulArgs&) { return Status::unsupported; }
int64_t cublaslt_workspace(void*, const MatmulArgs&) { return 0; }

}  // namespace graft::cuda
