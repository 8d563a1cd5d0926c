// y = act(x), dx = dy · act′(x). relu, relu6 and sigmoid find act′ from y, which the next op saves anyway; silu needs
// x.
#include "core/ops.h"
#include "core/tape.h"

namespace graft::ops {

Tensor activate(const Tensor& x, Activation activation) {
  GRAFT_CHECK(x.defined(), "activate: the input is undefined");
  Tensor y = empty_like(x);
  x.device().run(ActivateArgs{.x = x, .y = y, .activation = activation});
  return record("activate", y, {x}, {activation == Activation::silu ? x : y},
                [activation](std::span<const Tensor> saved, const Tensor& dy, Gradients& d) {
                  dy.device().run(ActivateBackwardArgs{
                      .saved = saved[0], .dy = dy, .dx = d.if_needed(0), .activation = activation});
                });
}

}  // namespace graft::ops
