// The gradient of a depthwise convolution by its input:
//
//   dx[n,h,w,c] = Σ_{r,s} dy[n, (h + pad − r·dilation) / stride, …, c] · weight[r,s,c]   where the quotients are whole
//
// With stride 1 that is the convolution of dy with the weights turned round and padding (R − 1)·dilation − pad:
// depthwise.cu's kernels. With a larger stride the pixels of dx fall into phases, each with taps of its own: of a 3x3
// with stride 2 four neighbouring pixels have 4, 2, 2 and 1. A strip begins with a phase that is known, so its taps are
// known to the compiler, all phases of a neighbourhood are one thread's, and dy and dx move once each.
#include "kernels/cuda/depthwise_pass.h"

namespace graft::cuda {

#define GRAFT_TRANSPOSED_WINDOWS TransposedWindow<3, 2, 4, 4>, TransposedWindow<5, 2, 4, 4>

DepthwiseAxis flipped_axis(DepthwiseAxis a) {
  a.pad = (a.taps - 1) * a.dilation - a.pad;
  return a;
}
DepthwiseAxis transposed_axis(DepthwiseAxis a) {
  const int32_t g = std::gcd(a.stride, a.dilation);
  a.transposed = true;
  a.tap_step = a.stride / g, a.input_step = -a.dilation / g;
  return a;
}

template <typename T>
Status depthwise_conv2d_backward_data(CallContext& call, const DepthwiseConv2dBackwardDataArgs& a) {
  constexpr const char* kName = "depthwise_conv2d_backward_data";
  call.kernel = kName;
  if (a.dx.numel() == 0) return Status::ok;
  const Shape &dx = a.dx.shape, &dy = a.dy.shape, &w = a.weight.shape;
  const Conv2dParams& c = a.conv;
  if (!fits(dx[1], dy[1], w[0], c.stride.h, c.dilation.h, c.pad.top) ||
      !fits(dx[2], dy[2], w[1], c.stride.w, c.dilation.w, c.pad.left))
    return Status::unsupported;
  const DepthwiseAxis rows = depthwise_axis(dy[1], dx[1], w[0], c.stride.h, c.dilation.h, c.pad.top);
  const DepthwiseAxis columns = depthwise_axis(dy[2], dx[2], w[1], c.stride.w, c.dilation.w, c.pad.left);
  DepthwisePass<T> pass{.x = a.dy.as<T>(), .weight = a.weight.as<T>(), .y = a.dx.as<T>()};
  if (c.stride == Extent2{1, 1}) {
    pass.flipped = true;
    return launch_forward(call, kName, forward_shape(flipped_axis(rows), flipped_axis(columns), dx[0], dx[3]), pass);
  }
  const PassShape shape =
      pass_shape<GRAFT_TRANSPOSED_WINDOWS>(transposed_axis(rows), transposed_axis(columns), dx[0], dx[3]);
  return launch_pass<GRAFT_TRANSPOSED_WINDOWS>(call, kName, shape, pass);
}

void enter_depthwise_backward_data(KernelTable& table) {
  enter<DepthwiseConv2dBackwardDataArgs, depthwise_conv2d_backward_data<float>,
        depthwise_conv2d_backward_data<__nv_bfloat16>>(table);
}

}  // namespace graft::cuda
