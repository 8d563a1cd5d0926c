// y = a + b; the gradient goes to both as it is.
#include "core/ops.h"
#include "core/ops/check.h"
#include "core/tape.h"

namespace graft::ops {

Tensor add(const Tensor& a, const Tensor& b) {
  check_same("add", a, b);
  Tensor y = empty_like(a);
  a.device().run(AddArgs{.a = a, .b = b, .y = y});
  return record("add", y, {a, b}, {}, [](std::span<const Tensor>, const Tensor& dy, Gradients& d) {
    if (d.needed(0)) d.set(0, dy);
    if (d.needed(1)) d.set(1, dy);
  });
}

}  // namespace graft::ops
