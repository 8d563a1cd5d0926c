// y = e^(x − max) / Σ e^(x − max) over the last axis     dx = y · (dy − Σ y·dy)
#include "core/ops.h"
#include "core/tape.h"

namespace graft::ops {

Tensor softmax(const Tensor& x) {
  GRAFT_CHECK(x.defined() && x.rank() >= 1, "softmax: the input must be [..., classes], not {}", x.shape());
  const Shape rows = {x.shape().rows(), x.channels()};
  Tensor y = empty_like(x);
  x.device().run(SoftmaxArgs{.x = x.viewed_as(rows), .y = y.viewed_as(rows)});
  return record("softmax", y, {x}, {y}, [rows](std::span<const Tensor> saved, const Tensor& dy, Gradients& d) {
    const Tensor dx = d.allocate(0);
    dy.device().run(
        SoftmaxBackwardArgs{.y = saved[0].viewed_as(rows), .dy = dy.viewed_as(rows), .dx = dx.viewed_as(rows)});
  });
}

}  // namespace graft::ops
