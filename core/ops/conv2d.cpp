// y[n,h,w,k] = bias[k] + Σ_{r,s,c} x[n, h·stride − pad + r·dilation, w·stride − pad + s·dilation, c] · weight[k,r,s,c]
//
//   dx = convᵀ(dy, weight)     dweight = Σ_{n,h,w} x · dy     dbias = Σ_{n,h,w} dy
#include "core/ops.h"
#include "core/ops/check.h"
#include "core/tape.h"

namespace graft::ops {

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dParams& params) {
  check_image("conv2d", x);
  GRAFT_CHECK(weight.rank() == 4, "conv2d: the weight must be [K, R, S, C / groups], not {}", weight.shape());
  const int64_t outputs = weight.size(0);
  GRAFT_CHECK(params.groups > 0 && outputs % params.groups == 0 && weight.size(3) * params.groups == x.channels(),
              "conv2d: input has {} channels, weight {} with {} groups expects {}", x.channels(), weight.shape(),
              params.groups, weight.size(3) * params.groups);
  check_type("conv2d", "weight", x, weight);
  check_vector("conv2d", "bias", x, bias, {outputs});

  Tensor y = empty(x.shared_device(), conv_output_shape("conv2d", x, weight.size(1), weight.size(2), params, outputs),
                   x.dtype());
  x.device().run(Conv2dArgs{.x = x, .weight = weight, .bias = bias, .y = y, .conv = params});

  return record(
      "conv2d", y, {x, weight, bias}, {x, weight},
      [params](std::span<const Tensor> saved, const Tensor& dy, Gradients& d) {
        Device& device = dy.device();
        if (d.needed(0))
          device.run(Conv2dBackwardDataArgs{.dy = dy, .weight = saved[1], .dx = d.allocate(0), .conv = params});
        if (d.needed(1))
          device.run(Conv2dBackwardWeightArgs{.x = saved[0], .dy = dy, .dweight = d.allocate_wide(1), .conv = params});
        sum_rows(dy, d, 2);
      });
}

}  // namespace graft::ops
