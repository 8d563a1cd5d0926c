// y[n,h,w,c] = x[n, h·stride, w·stride, c − before] where that channel exists, else 0; the new channels are split
// evenly around.
#include "core/ops.h"
#include "core/ops/check.h"
#include "core/tape.h"

namespace graft::ops {

Tensor subsample_pad(const Tensor& x, int32_t stride, int32_t before, int64_t channels) {
  check_image("subsample_pad", x);
  GRAFT_CHECK(stride > 0 && before >= 0 && channels >= x.channels() + before,
              "subsample_pad: {} cannot become {} channels, {} of them in front, with stride {}", x.shape(), channels,
              before, stride);
  const auto subsampled = [stride](int64_t extent) { return (extent + stride - 1) / stride; };
  Tensor y = empty(x.shared_device(), {x.size(0), subsampled(x.size(1)), subsampled(x.size(2)), channels}, x.dtype());
  x.device().run(SubsamplePadArgs{.x = x, .y = y, .stride = stride, .before = before});
  return record("subsample_pad", y, {x}, {}, [=](std::span<const Tensor>, const Tensor& dy, Gradients& d) {
    dy.device().run(SubsamplePadBackwardArgs{.dy = dy, .dx = d.if_needed(0), .stride = stride, .before = before});
  });
}

}  // namespace graft::ops
