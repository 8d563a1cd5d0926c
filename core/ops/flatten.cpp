// [N, H, W, C] → [N, C, H, W] → [N, C·H·W]; back by the inverse permutation. One pixel needs no permutation.
#include "core/ops.h"
#include "core/ops/check.h"
#include "core/tape.h"

namespace graft::ops {

Tensor flatten(const Tensor& x) {
  check_image("flatten", x);
  const Shape flat = {x.size(0), x.shape().count(1, 4)};
  if (x.size(1) == 1 && x.size(2) == 1) return reshape(x, flat);
  const Shape nchw = {x.size(0), x.size(3), x.size(1), x.size(2)};
  Tensor y = empty(x.shared_device(), nchw, x.dtype());
  x.device().run(PermuteArgs{.x = x, .y = y, .order = {0, 3, 1, 2}});
  return record("flatten", y.viewed_as(flat), {x}, {}, [nchw](std::span<const Tensor>, const Tensor& dy, Gradients& d) {
    dy.device().run(PermuteArgs{.x = dy.viewed_as(nchw), .y = d.if_needed(0), .order = {0, 2, 3, 1}});
  });
}

}  // namespace graft::ops
