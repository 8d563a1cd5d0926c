// Depthwise convolution: one filter a channel, NHWC; bias, activation and the sum of each image's pixels in one pass.
//
//   y[n,h,w,c] = act(Σ_{r,s} x[n, h·stride − pad + r·dilation, w·stride − pad + s·dilation, c] · weight[r,s,c] +
//   bias[c]) squeeze[n,c] = Σ_{h,w} y[n,h,w,c]
//
// Memory traffic: x once and y once (and for squeeze a float a channel of each slab, twice). That is the limit of 3x3:
// in 16 bits a card with 25 multiply-adds a byte of bandwidth, as Hopper has, does its 9 an output in a quarter of the
// time that 4 bytes take; the 25 of 5x5 take two thirds of it. So what surrounds the multiplications has to be little.
// A thread makes strips of 2×4 pixels (5x5: 4×4) of four channels. For one of a 3x3 it loads 4×6 pixels, 3 an output
// instead of 9, most of them from L1, and converts each once; weights lie in shared memory, as floats.
//
// This goes for 3x3 and 5x5 with stride 1 or 2 and channels in fours. Other windows, and tensors that begin off a
// 16-byte border, go tap by tap through strips cut by the same rules, in the same order.
#include "kernels/cuda/depthwise_pass.h"

namespace graft::cuda {

#define GRAFT_FORWARD_WINDOWS \
  ForwardWindow<3, 1, 2, 4>, ForwardWindow<3, 2, 2, 4>, ForwardWindow<5, 1, 4, 4>, ForwardWindow<5, 2, 2, 4>

PassShape forward_shape(const DepthwiseAxis& rows, const DepthwiseAxis& columns, int64_t images, int64_t channels) {
  return pass_shape<GRAFT_FORWARD_WINDOWS>(rows, columns, images, channels);
}
template <typename T>
Status launch_forward(CallContext& call, const char* name, const PassShape& p, const DepthwisePass<T>& a) {
  return launch_pass<GRAFT_FORWARD_WINDOWS>(call, name, p, a);
}
#define GRAFT_FOR(T) \
  template Status launch_forward(CallContext&, const char*, const PassShape&, const DepthwisePass<T>&);
GRAFT_FOR(float)
GRAFT_FOR(__nv_bfloat16)
GRAFT_FOR(__half)
#undef GRAFT_FOR

// squeeze[n,c] = Σ over the slabs of image n
__global__ __launch_bounds__(kThreads) void depthwise_squeeze_kernel(const float* sums, int64_t slabs, int64_t channels,
                                                                     int64_t count, float* squeeze) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const float* from = sums + i / channels * slabs * channels + i % channels;
  float sum = 0;
  for (int64_t slab = 0; slab < slabs; ++slab) sum += load(from + slab * channels);
  store(squeeze + i, sum);
}

// Shapes too large for the kernels' 32-bit coordinates: false.
bool shape_of(const DepthwiseConv2dArgs& a, PassShape* p) {
  const Shape &x = a.x.shape, &y = a.y.shape, &w = a.weight.shape;
  const Conv2dParams& c = a.conv;
  if (!fits(x[1], y[1], w[0], c.stride.h, c.dilation.h, c.pad.top) ||
      !fits(x[2], y[2], w[1], c.stride.w, c.dilation.w, c.pad.left))
    return false;
  *p = forward_shape(depthwise_axis(x[1], y[1], w[0], c.stride.h, c.dilation.h, c.pad.top),
                     depthwise_axis(x[2], y[2], w[1], c.stride.w, c.dilation.w, c.pad.left), x[0], x[3]);
  return true;
}

// One slab an image: its sum is the whole.
int64_t squeeze_bytes(const DepthwiseConv2dArgs& a, const PassShape& p) {
  return a.squeeze.present() && p.tiling.slabs > 1 ? p.tiling.slabs * a.squeeze.bytes() : 0;
}
int64_t forward_workspace(const DepthwiseConv2dArgs& a) {
  PassShape p;
  return a.y.numel() > 0 && shape_of(a, &p) ? squeeze_bytes(a, p) : 0;
}

template <typename T>
Status depthwise_conv2d(CallContext& call, const DepthwiseConv2dArgs& a) {
  call.kernel = "depthwise_conv2d";
  if (a.y.numel() == 0) return Status::ok;
  PassShape p;
  if (!shape_of(a, &p)) return Status::unsupported;
  const int64_t bytes = squeeze_bytes(a, p);
  if (call.workspace_bytes < bytes) return Status::invalid_argument;
  auto* squeeze = a.squeeze.as<float>();
  const DepthwisePass<T> pass{.x = a.x.as<T>(),
                              .weight = a.weight.as<T>(),
                              .bias = a.bias.as<float>(),
                              .y = a.y.as<T>(),
                              .sums = bytes > 0 ? static_cast<float*>(call.workspace) : squeeze,
                              .activation = a.activation};
  const Status status = launch_forward(call, "depthwise_conv2d", p, pass);
  if (status != Status::ok || bytes == 0) return status;
  const int64_t count = a.squeeze.numel();
  return launch(call, {"depthwise_squeeze", dim3(static_cast<unsigned>(ceil_div(count, kThreads))), dim3(kThreads)},
                depthwise_squeeze_kernel, pass.sums, p.tiling.slabs, p.channels, count, squeeze);
}

void enter_depthwise(KernelTable& table) {
  enter<DepthwiseConv2dArgs, depthwise_conv2d<float>, depthwise_conv2d<__nv_bfloat16>, depthwise_conv2d<__half>>(table);
  enter_workspace<DepthwiseConv2dArgs, forward_workspace>(table);
}

}  // namespace graft::cuda
