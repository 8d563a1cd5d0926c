// The ops: what a network is made of, followed by the tape. Each is one file in core/ops with its forward and backward.
//
// Images are [N, H, W, C], rows of features [N, C]. Shapes are checked, and an Error says which argument does not fit.
// Tensors of one call have one device and one floating-point type. An empty batch gives an empty result, unless a
// comment says otherwise.
#pragma once
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace graft::ops {

// ---- convolution (core/ops/conv2d.cpp, depthwise_conv2d.cpp)

// Weight [K, R, S, C / groups], bias undefined or [K]; y [N, Ho, Wo, K]
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dParams& params);
// One filter for each channel: weight [R, S, C], bias undefined or [C]
Tensor depthwise_conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dParams& params);

// ---- batch norm (core/ops/batch_norm.cpp)

struct BatchNormOutput {
  Tensor y, mean, var;  // mean and (biased) variance of this batch, [C]: what running statistics move toward
};
// Statistics of this batch, over N·H·W values a channel; fewer than two values are an Error.
BatchNormOutput batch_norm_training(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps);
// Given statistics, which get no gradient.
Tensor batch_norm_inference(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                            const Tensor& var, double eps);

// ---- elementwise (core/ops/activate.cpp, add.cpp, cast.cpp, multiply.cpp, dropout.cpp)

Tensor activate(const Tensor& x, Activation activation);
inline Tensor relu(const Tensor& x) { return activate(x, Activation::relu); }
inline Tensor relu6(const Tensor& x) { return activate(x, Activation::relu6); }
inline Tensor silu(const Tensor& x) { return activate(x, Activation::silu); }
inline Tensor sigmoid(const Tensor& x) { return activate(x, Activation::sigmoid); }
Tensor add(const Tensor& a, const Tensor& b);
Tensor cast(const Tensor& x, DType dtype);  // to a floating-point type
// x · s, where s has x's shape, or [N, 1, 1, C] (squeeze-and-excite), or [N, 1, …, 1] (stochastic depth)
Tensor multiply(const Tensor& x, const Tensor& s);

// Where random masks come from: seed and offset on the device (i64 [2]), and a number for each place in the network, so
// that two masks of one step differ. The offset moves at the end of a step (finish_step).
struct RandomSource {
  Tensor state;
  int64_t stream = 0;
};
// Each element, or (stochastic depth) each image, is dropped with `probability`, the rest scaled by 1 / (1 −
// probability).
Tensor dropout(const Tensor& x, double probability, const RandomSource& random);
Tensor stochastic_depth(const Tensor& x, double probability, const RandomSource& random);

// ---- pooling (core/ops/pooling.cpp)

Tensor max_pool(const Tensor& x, const PoolParams& params);
Tensor avg_pool(const Tensor& x, const PoolParams& params);
Tensor adaptive_avg_pool(const Tensor& x, int64_t height, int64_t width);
inline Tensor global_avg_pool(const Tensor& x) { return adaptive_avg_pool(x, 1, 1); }

// ---- layout (core/ops/flatten.cpp, reshape.cpp, concat.cpp, subsample_pad.cpp)

// [N, H, W, C] → [N, C·H·W], channels slowest: what PyTorch's flatten means, so that a linear layer's columns map one
// to one
Tensor flatten(const Tensor& x);
Tensor reshape(const Tensor& x, const Shape& shape);
Tensor concat(const std::vector<Tensor>& parts, int axis = -1);
// Shortcut without parameters (He et al. 2015, option A): every stride-th pixel; `before` zero channels, x's, zeros.
Tensor subsample_pad(const Tensor& x, int32_t stride, int32_t before, int64_t channels);

// ---- linear, reductions, loss (core/ops/linear.cpp, reduce.cpp, softmax.cpp, cross_entropy.cpp)

// x [N, in], weight [out, in], bias undefined or [out]; y [N, out]
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);
// Over axes [first, last); a tensor of one element has shape [1]. The maximum has no gradient.
Tensor reduce(const Tensor& x, Reduction reduction, int first, int last);
Tensor sum(const Tensor& x);
Tensor mean(const Tensor& x);
Tensor softmax(const Tensor& x);  // over the last axis
// Mean over the batch; targets i64 [N]; class_weights undefined or [classes]. The formula stands in
// contract/primitives.h.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets, const Tensor& class_weights = {},
                     double label_smoothing = 0);

}  // namespace graft::ops
