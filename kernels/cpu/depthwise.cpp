// Depthwise convolution, forward: y = act(x ∗ weight + bias), the activation in the same pass (depthwise_engine-inl.h).
// Bound by memory: x and y once each.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/depthwise.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/depthwise_engine-inl.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

Status depthwise_conv2d(CallContext& c, const DepthwiseConv2dArgs& a) {
  c.kernel = "cpu.depthwise_conv2d.direct." GRAFT_ISA;
  const Shape &x = a.x.shape, &y = a.y.shape, &w = a.weight.shape;
  run_depthwise(pool_of(c), {.x = a.x.as<const float>(),
                             .images = x[0],
                             .h = x[1],
                             .w = x[2],
                             .channels = x[3],
                             .oh = y[1],
                             .ow = y[2],
                             .taps_h = w[0],
                             .taps_w = w[1],
                             .stride_h = a.conv.stride.h,
                             .stride_w = a.conv.stride.w,
                             .dilation_h = a.conv.dilation.h,
                             .dilation_w = a.conv.dilation.w,
                             .pad_top = a.conv.pad.top,
                             .pad_left = a.conv.pad.left,
                             .weight = a.weight.as<const float>(),
                             .y = a.y.as<float>(),
                             .y_image = y[1] * y[2] * y[3],
                             .y_row = y[2] * y[3],
                             .y_pixel = y[3],
                             .bias = a.bias.as<const float>(),
                             .activation = a.activation});
  return Status::ok;
}

}  // namespace

static void enter_kernels(KernelTable& table) { enter<DepthwiseConv2dArgs, depthwise_conv2d>(table); }

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(depthwise)
#endif
