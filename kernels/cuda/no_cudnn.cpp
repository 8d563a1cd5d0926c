// In the place of cudnn_convolution.cpp where there is no cuDNN to be called: every convolution is graft's own.
#include "kernels/cuda/cudnn_convolution.h"
#include "kernels/cuda/libraries.h"

namespace graft::cuda {

bool calls_cudnn() { return false; }

CudnnConvolutions* make_cudnn_convolutions() { return nullptr; }
void destroy(CudnnConvolutions*) {}

Status cudnn_convolution(CallContext&, const Conv2dArgs&) { return Status::unsupported; }
Status cudnn_convolution(CallContext&, const Conv2dBackwardDataArgs&) { return Status::unsupported; }
Status cudnn_convolution(CallContext&, const Conv2dBackwardWeightArgs&) { return Status::unsupported; }

int64_t cudnn_workspace(void*, const Conv2dArgs&) { return 0; }
int64_t cudnn_workspace(void*, const Conv2dBackwardDataArgs&) { return 0; }
int64_t cudnn_workspace(void*, const Conv2dBackwardWeightArgs&) { return 0; }

}  // namespace graft::cuda
