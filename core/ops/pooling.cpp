// Max pooling sends each gradient to the pixel that won; its place in the window (u8) is all that is saved. Average
// pooling spreads it evenly over the window.
#include "core/ops.h"
#include "core/ops/check.h"
#include "core/tape.h"

namespace graft::ops {

Tensor max_pool(const Tensor& x, const PoolParams& params) {
  const Shape shape = pool_output_shape("max_pool", x, params);
  GRAFT_CHECK(params.window.h * params.window.w <= 255, "max_pool: a window of {} x {} has more than 255 pixels",
              params.window.h, params.window.w);
  Tensor y = empty(x.shared_device(), shape, x.dtype()), index;
  if (x.requires_grad() && !NoGrad::on()) index = empty(x.shared_device(), shape, DType::u8);
  x.device().run(MaxPoolArgs{.x = x, .y = y, .index = index, .pool = params});
  return record("max_pool", y, {x}, {index}, [params](std::span<const Tensor> saved, const Tensor& dy, Gradients& d) {
    dy.device().run(MaxPoolBackwardArgs{.dy = dy, .index = saved[0], .dx = d.if_needed(0), .pool = params});
  });
}

Tensor avg_pool(const Tensor& x, const PoolParams& params) {
  Tensor y = empty(x.shared_device(), pool_output_shape("avg_pool", x, params), x.dtype());
  x.device().run(AvgPoolArgs{.x = x, .y = y, .pool = params});
  return record("avg_pool", y, {x}, {}, [params](std::span<const Tensor>, const Tensor& dy, Gradients& d) {
    dy.device().run(AvgPoolBackwardArgs{.dy = dy, .dx = d.if_needed(0), .pool = params});
  });
}

Tensor adaptive_avg_pool(const Tensor& x, int64_t height, int64_t width) {
  check_image("adaptive_avg_pool", x);
  GRAFT_CHECK(height > 0 && width > 0 && x.size(1) > 0 && x.size(2) > 0,
              "adaptive_avg_pool: {} cannot be pooled to {} x {}", x.shape(), height, width);
  Tensor y = empty(x.shared_device(), {x.size(0), height, width, x.channels()}, x.dtype());
  x.device().run(AdaptiveAvgPoolArgs{.x = x, .y = y});
  return record("adaptive_avg_pool", y, {x}, {}, [](std::span<const Tensor>, const Tensor& dy, Gradients& d) {
    dy.device().run(AdaptiveAvgPoolBackwardArgs{.dy = dy, .dx = d.if_needed(0)});
  });
}

}  // namespace graft::ops
