// y[n,h,w,c] = bias[c] + Σ_{r,s} x[n, h·stride − pad + r·dilation, w·stride − pad + s·dilation, c] · weight[r,s,c]
#include "core/ops.h"
#include "core/ops/check.h"
#include "core/tape.h"

namespace graft::ops {

Tensor depthwise_conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dParams& params) {
  check_image("depthwise_conv2d", x);
  GRAFT_CHECK(weight.rank() == 3 && weight.size(2) == x.channels(),
              "depthwise_conv2d: input has {} channels, the weight must be [R, S, {}], not {}", x.channels(),
              x.channels(), weight.shape());
  check_type("depthwise_conv2d", "weight", x, weight);
  check_vector("depthwise_conv2d", "bias", x, bias, {x.channels()});

  const Shape shape = conv_output_shape("depthwise_conv2d", x, weight.size(0), weight.size(1), params, x.channels());
  Tensor y = empty(x.shared_device(), shape, x.dtype());
  x.device().run(DepthwiseConv2dArgs{.x = x, .weight = weight, .bias = bias, .y = y, .conv = params});

  return record("depthwise_conv2d", y, {x, weight, bias}, {x, weight},
                [params](std::span<const Tensor> saved, const Tensor& dy, Gradients& d) {
                  Device& device = dy.device();
                  if (d.needed(0))
                    device.run(DepthwiseConv2dBackwardDataArgs{
                        .dy = dy, .weight = saved[1], .dx = d.allocate(0), .conv = params});
                  if (d.needed(1))
                    device.run(DepthwiseConv2dBackwardWeightArgs{
                        .x = saved[0], .dy = dy, .dweight = d.allocate_wide(1), .conv = params});
                  sum_rows(dy, d, 2);
                });
}

}  // namespace graft::ops
