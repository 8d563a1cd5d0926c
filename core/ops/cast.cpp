// The same numbers in another type, rounded once; the gradient goes back in x's type.
#include "core/ops.h"
#include "core/tape.h"

namespace graft::ops {

Tensor cast(const Tensor& x, DType dtype) {
  GRAFT_CHECK(x.defined() && is_float(dtype), "cast: {} to {}", x.shape(), name_of(dtype));
  if (x.dtype() == dtype) return x;
  Tensor y = empty(x.shared_device(), x.shape(), dtype);
  x.device().run(CastArgs{.x = x, .y = y});
  return record("cast", y, {x}, {}, [](std::span<const Tensor>, const Tensor& dy, Gradients& d) {
    dy.device().run(CastArgs{.x = dy, .y = d.if_needed(0)});
  });
}

}  // namespace graft::ops
