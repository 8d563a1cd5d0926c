// y = x · weightᵀ + bias     dx = dy · weight     dweight = dyᵀ · x     dbias = Σ_n dy
#include "core/ops.h"
#include "core/ops/check.h"
#include "core/tape.h"

namespace graft::ops {

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  GRAFT_CHECK(x.defined() && x.rank() == 2, "linear: the input must be [N, features], not {}; flatten it first",
              x.shape());
  GRAFT_CHECK(weight.rank() == 2 && weight.size(1) == x.size(1), "linear: input has {} features, weight is {}",
              x.size(1), weight.shape());
  check_type("linear", "weight", x, weight);
  check_vector("linear", "bias", x, bias, {weight.size(0)});
  Tensor y = empty(x.shared_device(), {x.size(0), weight.size(0)}, x.dtype());
  x.device().run(MatmulArgs{.a = x, .b = weight, .bias = bias, .y = y, .transpose_b = 1});
  return record("linear", y, {x, weight, bias}, {x, weight},
                [](std::span<const Tensor> saved, const Tensor& dy, Gradients& d) {
                  if (d.needed(0)) dy.device().run(MatmulArgs{.a = dy, .b = saved[1], .y = d.allocate(0)});
                  if (d.needed(1))
                    dy.device().run(MatmulArgs{.a = dy, .b = saved[0], .y = d.allocate_wide(1), .transpose_a = 1});
                  sum_rows(dy, d, 2);
                });
}

}  // namespace graft::ops
