// Who computes a dense convolution: cuDNN where it is open and has a plan for the shape, else graft's own kernel.
//
// The plug-in links cudnn_convolution.cpp, or no_cudnn.cpp where it is built without cuDNN's headers and where kernels
// run on the host. GRAFT_CUDNN=0 in the environment leaves all convolutions to graft's kernels.
#pragma once
#include "kernels/cuda/cuda_backend.h"

namespace graft::cuda {

// unsupported: graft's own kernel computes it. That is so without cuDNN, without a plan, and for memory that begins off
// a multiple of 16 bytes, which no tensor of core does.
Status cudnn_convolution(CallContext&, const Conv2dArgs&);
Status cudnn_convolution(CallContext&, const Conv2dBackwardDataArgs&);
Status cudnn_convolution(CallContext&, const Conv2dBackwardWeightArgs&);

// Of the plan, 0 where there is none. The first question for a shape chooses its plan, which may take a second.
int64_t cudnn_workspace(void* self, const Conv2dArgs&);
int64_t cudnn_workspace(void* self, const Conv2dBackwardDataArgs&);
int64_t cudnn_workspace(void* self, const Conv2dBackwardWeightArgs&);

template <typename Args, Launcher<Args> kOwn>
Status cudnn_or(CallContext& call, const Args& args) {
  const Status status = cudnn_convolution(call, args);
  return status == Status::unsupported ? kOwn(call, args) : status;
}

// Enough for either: which of the two it will be depends on addresses.
template <typename Args, int64_t (*kOwn)(const Args&)>
int64_t cudnn_or_workspace(void* self, const Args& args) {
  const int64_t own = kOwn(args), cudnn = cudnn_workspace(self, args);
  return own > cudnn ? own : cudnn;
}

}  // namespace graft::cuda
