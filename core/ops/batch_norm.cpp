// y = (x − mean) / √(var + eps) · weight + bias, over all pixels of all images for each channel (Ioffe & Szegedy 2015,
// §3). With x̂ = (x − mean) / √(var + eps) and m = N·H·W:
//   dbias = Σ dy     dweight = Σ dy·x̂
//   dx = weight / √(var + eps) · (dy − dbias/m − x̂·dweight/m)     when mean and var are this batch's
//   dx = weight / √(var + eps) · dy                               when they are given
#include "core/ops.h"
#include "core/ops/check.h"
#include "core/tape.h"

namespace graft::ops {

namespace {

void check_channels(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  GRAFT_CHECK(x.defined() && x.rank() >= 2, "{}: the input must be [..., C], not {}", op, x.shape());
  check_vector(op, "weight", x, weight, {x.channels()});
  check_vector(op, "bias", x, bias, {x.channels()});
}

// saved: x, weight, mean, var
auto backward(double eps, bool batch_statistics) {
  return [=](std::span<const Tensor> saved, const Tensor& dy, Gradients& d) {
    dy.device().run(BatchNormBackwardArgs{.x = saved[0],
                                          .dy = dy,
                                          .weight = saved[1],
                                          .mean = saved[2],
                                          .var = saved[3],
                                          .dx = d.if_needed(0),
                                          .dweight = d.if_needed(1),
                                          .dbias = d.if_needed(2),
                                          .eps = eps,
                                          .batch_statistics = batch_statistics});
  };
}

}  // namespace

BatchNormOutput batch_norm_training(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  check_channels("batch_norm", x, weight, bias);
  GRAFT_CHECK(x.shape().rows() != 1,
              "batch_norm: one value per channel has no variance; input {}. Use a larger batch or image", x.shape());
  Tensor y = empty_like(x), mean = empty_like(weight), var = empty_like(mean);
  x.device().run(
      BatchNormTrainingArgs{.x = x, .weight = weight, .bias = bias, .y = y, .mean = mean, .var = var, .eps = eps});
  y = record("batch_norm", y, {x, weight, bias}, {x, weight, mean, var}, backward(eps, true));
  return {y, mean, var};
}

Tensor batch_norm_inference(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                            const Tensor& var, double eps) {
  check_channels("batch_norm", x, weight, bias);
  check_vector("batch_norm", "running_mean", x, mean, {x.channels()});
  check_vector("batch_norm", "running_var", x, var, {x.channels()});
  Tensor y = empty_like(x);
  x.device().run(
      BatchNormInferenceArgs{.x = x, .weight = weight, .bias = bias, .mean = mean, .var = var, .y = y, .eps = eps});
  return record("batch_norm", y, {x, weight, bias}, {x, weight, mean, var}, backward(eps, false));
}

}  // namespace graft::ops
