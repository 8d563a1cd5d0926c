// y[o,i] = Σ_r x[o,r,i], or the mean or the maximum over r; sum and mean spread the gradient back evenly.
#include "core/ops.h"
#include "core/tape.h"

namespace graft::ops {

Tensor reduce(const Tensor& x, Reduction reduction, int first, int last) {
  GRAFT_CHECK(x.defined() && 0 <= first && first <= last && last <= x.rank(), "reduce: {} has no axes {} to {}",
              x.shape(), first, last);
  GRAFT_CHECK(reduction != Reduction::max || !x.requires_grad() || NoGrad::on(), "reduce: the maximum has no gradient");
  const int64_t outer = x.shape().count(0, first), count = x.shape().count(first, last),
                inner = x.shape().count(last, x.rank());
  Shape shape;
  for (int axis = 0; axis < x.rank(); ++axis)
    if (axis < first || axis >= last) shape[shape.rank++] = x.size(axis);
  if (shape.rank == 0) shape = {1};

  Tensor y = empty(x.shared_device(), shape, x.dtype());
  x.device().run(ReduceArgs{.x = x, .y = y, .reduction = reduction, .outer = outer, .count = count, .inner = inner});
  const double factor = reduction == Reduction::mean ? 1.0 / static_cast<double>(count) : 1.0;
  return record("reduce", y, {x}, {}, [=](std::span<const Tensor>, const Tensor& dy, Gradients& d) {
    dy.device().run(
        BroadcastArgs{.x = dy, .y = d.if_needed(0), .factor = factor, .outer = outer, .count = count, .inner = inner});
  });
}

Tensor sum(const Tensor& x) { return reduce(x, Reduction::sum, 0, x.rank()); }
Tensor mean(const Tensor& x) { return reduce(x, Reduction::mean, 0, x.rank()); }

}  // namespace graft::ops
