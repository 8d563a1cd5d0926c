// Who computes a matrix product: cuBLASLt where it is open and has an algorithm for it, else graft's own kernels.
//
// The plug-in links cublaslt_matmul.cpp, or no_cublaslt.cpp where it is built without cuBLASLt's header and where
// kernels run on the host. GRAFT_CUBLASLT=0 in the environment leaves all products to graft's kernels.
#pragma once
#include "kernels/cuda/cuda_backend.h"

namespace graft::cuda {

// unsupported: graft's own kernels compute it. That is so without cuBLASLt, for products that it is not handed
// (matrix_product.h) or has no algorithm for, and for memory that begins off a multiple of 16 bytes, which no tensor of
// core does.
Status cublaslt_matmul(CallContext&, const MatmulArgs&);

// Of the algorithm, 0 where there is none. The first question for a product chooses its algorithm.
int64_t cublaslt_workspace(void* self, const MatmulArgs&);

template <Launcher<MatmulArgs> kOwn>
Status cublaslt_or(CallContext& call, const MatmulArgs& args) {
  const Status status = cublaslt_matmul(call, args);
  return status == Status::unsupported ? kOwn(call, args) : status;
}

// Enough for either: which of the two it will be depends on addresses.
template <int64_t (*kOwn)(const MatmulArgs&)>
int64_t cublaslt_or_workspace(void* self, const MatmulArgs& args) {
  const int64_t own = kOwn(args), cublaslt = cublaslt_workspace(self, args);
  return own > cublaslt ? own : cublaslt;
}

}  // namespace graft::cuda
