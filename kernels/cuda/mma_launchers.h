// The products of 16-bit tensors, T being __nv_bfloat16 or, in what is not a gradient, __half, on tensor cores: what
// matmul.cu and conv2d_*.cu enter beside their own in f32.
#pragma once
#include "kernels/cuda/platform.h"

namespace graft::cuda {

template <typename T>
Status matmul_mma(CallContext&, const MatmulArgs&);
int64_t matmul_mma_workspace(const MatmulArgs&);

template <typename T>
Status conv2d_mma(CallContext&, const Conv2dArgs&);
int64_t conv2d_mma_workspace(const Conv2dArgs&);

template <typename T>
Status conv2d_backward_data_mma(CallContext&, const Conv2dBackwardDataArgs&);
int64_t conv2d_backward_data_mma_workspace(const Conv2dBackwardDataArgs&);

template <typename T>
Status conv2d_backward_weight_mma(CallContext&, const Conv2dBackwardWeightArgs&);
int64_t conv2d_backward_weight_mma_workspace(const Conv2dBackwardWeightArgs&);

}  // namespace graft::cuda
