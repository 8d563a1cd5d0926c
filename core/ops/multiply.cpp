// y[o,r,i] = x[o,r,i] · s[o,i], the middle broadcast: squeeze-and-excite (r: pixels), stochastic depth (i: one), plain
// product (r: one).     dx[o,r,i] = dy[o,r,i] · s[o,i]     ds[o,i] = Σ_r dy[o,r,i] · x[o,r,i]
#include "core/ops.h"
#include "core/tape.h"

namespace graft::ops {

namespace {

struct Broadcast {
  int64_t outer, repeat, inner;
};

Broadcast broadcast_of(const Tensor& x, const Tensor& s) {
  const int64_t batch = x.rank() > 0 ? x.size(0) : 1;
  if (s.shape() == x.shape()) return {1, 1, x.numel()};
  const bool extents_fit = s.rank() == x.rank() && x.rank() > 1 && s.size(0) == batch;
  const bool middle_is_one = extents_fit && s.shape().count(1, s.rank() - 1) == 1;
  GRAFT_CHECK(middle_is_one && s.dtype() == x.dtype() && (s.channels() == x.channels() || s.channels() == 1),
              "multiply: {} cannot be broadcast over {}; it must have that shape, or [N, 1, …, C], or [N, 1, …, 1]",
              s.shape(), x.shape());
  if (s.channels() == x.channels()) return {batch, x.shape().count(1, x.rank() - 1), x.channels()};
  return {batch, x.shape().count(1, x.rank()), 1};
}

}  // namespace

Tensor multiply(const Tensor& x, const Tensor& s) {
  const Broadcast b = broadcast_of(x, s);
  Tensor y = empty_like(x);
  x.device().run(MultiplyArgs{.x = x, .s = s, .y = y, .outer = b.outer, .repeat = b.repeat, .inner = b.inner});
  return record("multiply", y, {x, s}, {x, s}, [b](std::span<const Tensor> saved, const Tensor& dy, Gradients& d) {
    if (d.needed(0))
      dy.device().run(MultiplyArgs{
          .x = dy, .s = saved[1], .y = d.allocate(0), .outer = b.outer, .repeat = b.repeat, .inner = b.inner});
    if (d.needed(1))
      dy.device().run(MultiplyReduceArgs{
          .x = saved[0], .dy = dy, .ds = d.allocate(1), .outer = b.outer, .repeat = b.repeat, .inner = b.inner});
  });
}

}  // namespace graft::ops
