// In the place of cublaslt_matmul.cpp where there is no cuBLASLt to be called: every matrix product is graft's own.
#include "kernels/cuda/libraries.h"
#include "kernels/cuda/ways.h"

namespace graft::cuda {

bool calls_cublaslt() { return false; }

CublasLtProducts* make_cublaslt_products() { return nullptr; }
void destroy(CublasLtProducts*) {}

Status library_run(CallContext&, const MatmulArgs&, const Way&) { return Status::unsupported; }
int64_t library_workspace(void*, const MatmulArgs&, const Way&) { return 0; }
std::vector<std::string> library_plans(void*, const MatmulArgs&, F32Math) { return {}; }

}  // namespace graft::cuda
