// The products of 16-bit tensors, T being __nv_bfloat16 or, in what is not a gradient, __half, on tensor cores: what
// matmul.cu and conv2d_*.cu enter beside their own in f32. `tile`: that was chosen (ways.h); 0: by shape.
#pragma once
#include "kernels/cuda/platform.h"
#include "kernels/cuda/ways.h"

namespace graft::cuda {

template <typename T>
Status matmul_mma(CallContext&, const MatmulArgs&, int tile);
int64_t matmul_mma_workspace(const MatmulArgs&, int tile);
OwnTiles matmul_mma_tiles(const MatmulArgs&);

template <typename T>
Status conv2d_mma(CallContext&, const Conv2dArgs&, int tile);
int64_t conv2d_mma_workspace(const Conv2dArgs&, int tile);
OwnTiles conv2d_mma_tiles(const Conv2dArgs&);

template <typename T>
Status conv2d_backward_data_mma(CallContext&, const Conv2dBackwardDataArgs&, int tile);
int64_t conv2d_backward_data_mma_workspace(const Conv2dBackwardDataArgs&, int tile);
OwnTiles conv2d_backward_data_mma_tiles(const Conv2dBackwardDataArgs&);

template <typename T>
Status conv2d_backward_weight_mma(CallContext&, const Conv2dBackwardWeightArgs&, int tile);
int64_t conv2d_backward_weight_mma_workspace(const Conv2dBackwardWeightArgs&, int tile);
OwnTiles conv2d_backward_weight_mma_tiles(const Conv2dBackwardWeightArgs&);

}  // namespace graft::cuda
