// Depthwise convolution, forward: y = act(x ∗ weight + bias), the activation in the same pass (depthwise_engine-inl.h).
// Bound by memory: x and y once each. The sums of y for squeeze-and-excite are taken band by band, while its pixels are
// in the cache, and the bands of an image added in order.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/depthwise.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/depthwise_engine-inl.h"
#include "kernels/cpu/workspace.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

Status depthwise_conv2d(CallContext& c, const DepthwiseConv2dArgs& a) {
  c.kernel = "cpu.depthwise_conv2d.direct." GRAFT_ISA;
  const Shape &x = a.x.shape, &y = a.y.shape, &w = a.weight.shape;
  const int64_t bands = ceil_div(y[1], kBandRows);
  Workspace workspace(c.workspace);
  float* sums = a.squeeze.present() ? workspace.take<float>(bands * a.squeeze.numel()) : nullptr;
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
                             .activation = a.activation,
                             .sums = sums});
  float* squeeze = a.squeeze.as<float>();
  if (sums != nullptr)
    pool_of(c).parallel_for(y[0], [&](int64_t image, int) HWY_ATTR {
      for (int64_t channel = 0; channel < y[3]; channel += kLanes) {
        const int64_t n = std::min<int64_t>(kLanes, y[3] - channel);
        V sum = zero();
        for (int64_t band = 0; band < bands; ++band)
          sum = add(sum, load_up_to(sums + (image * bands + band) * y[3] + channel, n));
        store_up_to(sum, squeeze + image * y[3] + channel, n);
      }
    });
  return Status::ok;
}

int64_t forward_workspace(int, const DepthwiseConv2dArgs& a) {
  return a.squeeze.present() ? align_up(ceil_div(a.y.shape[1], kBandRows) * a.squeeze.bytes()) : 0;
}

}  // namespace

static void enter_kernels(KernelTable& table) {
  enter<DepthwiseConv2dArgs, depthwise_conv2d>(table);
  enter_workspace<DepthwiseConv2dArgs, forward_workspace>(table);
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(depthwise)
#endif
