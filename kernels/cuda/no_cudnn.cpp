// In the place of cudnn_convolution.cpp where there is no cuDNN to be called: every convolution is graft's own.
#include "kernels/cuda/libraries.h"
#include "kernels/cuda/ways.h"

namespace graft::cuda {

bool calls_cudnn() { return false; }

CudnnConvolutions* make_cudnn_convolutions() { return nullptr; }
void destroy(CudnnConvolutions*) {}

Status library_run(CallContext&, const Conv2dArgs&, const Way&) { return Status::unsupported; }
int64_t library_workspace(void*, const Conv2dArgs&, const Way&) { return 0; }
std::vector<std::string> library_plans(void*, const Conv2dArgs&, F32Math) { return {}; }

Status library_run(CallContext&, const Conv2dBackwardDataArgs&, const Way&) { return Status::unsupported; }
int64_t library_workspace(void*, const Conv2dBackwardDataArgs&, const Way&) { return 0; }
std::vector<std::string> library_plans(void*, const Conv2dBackwardDataArgs&, F32Math) { return {}; }

Status library_run(CallContext&, const Conv2dBackwardWeightArgs&, const Way&) { return Status::unsupported; }
int64_t library_workspace(void*, const Conv2dBackwardWeightArgs&, const Way&) { return 0; }
std::vector<std::string> library_plans(void*, const Conv2dBackwardWeightArgs&, F32Math) { return {}; }

}  // namespace graft::cuda
