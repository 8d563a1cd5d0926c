#include "core/ops/check.h"

namespace graft::ops {

int64_t window_output(const char* op, const char* axis, int64_t input, int32_t before, int32_t after, int64_t window,
                      int32_t dilation, int32_t stride) {
  GRAFT_CHECK(stride > 0 && dilation > 0 && window > 0 && before >= 0 && after >= 0,
              "{}: {} has window {}, stride {}, dilation {}, padding {} and {}; window, stride and dilation must be "
              "positive, padding not negative",
              op, axis, window, stride, dilation, before, after);
  const int64_t output = output_extent(input, before, after, window, dilation, stride);
  GRAFT_CHECK(output > 0, "{}: {} of {} with padding {} and {} is smaller than the window of {}", op, axis, input,
              before, after, dilation * (window - 1) + 1);
  return output;
}

Shape conv_output_shape(const char* op, const Tensor& x, int64_t kernel_h, int64_t kernel_w, const Conv2dParams& p,
                        int64_t channels) {
  const int64_t h = window_output(op, "height", x.size(1), p.pad.top, p.pad.bottom, kernel_h, p.dilation.h, p.stride.h);
  const int64_t w = window_output(op, "width", x.size(2), p.pad.left, p.pad.right, kernel_w, p.dilation.w, p.stride.w);
  return {x.size(0), h, w, channels};
}

Shape pool_output_shape(const char* op, const Tensor& x, const PoolParams& p) {
  check_image(op, x);
  GRAFT_CHECK(
      p.pad.top < p.window.h && p.pad.bottom < p.window.h && p.pad.left < p.window.w && p.pad.right < p.window.w,
      "{}: padding must be smaller than the window {} x {}", op, p.window.h, p.window.w);
  return conv_output_shape(op, x, p.window.h, p.window.w, {.stride = p.stride, .pad = p.pad}, x.channels());
}

}  // namespace graft::ops
