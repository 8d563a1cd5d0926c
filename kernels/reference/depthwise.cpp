// Depthwise convolution: one filter a channel, [R,S,C].
#include "kernels/reference/activation.h"
#include "kernels/reference/checks.h"
#include "kernels/reference/primitives.h"
#include "kernels/reference/views.h"
#include "kernels/reference/window.h"

namespace graft::reference {

namespace {

// x [N,H,W,C]; weight [R,S,C]; y [N,Ho,Wo,C]
bool fits(const TensorView& x, const TensorView& weight, const TensorView& y, const Conv2dParams& p) {
  if (!one_float_type(x, weight, y) || x.shape.rank != 4 || weight.shape.rank != 3 || y.shape.rank != 4) return false;
  return weight.shape[2] == x.shape[3] && y.shape[0] == x.shape[0] && y.shape[3] == x.shape[3] &&
         window_of(x.shape, y.shape, weight.shape[0], weight.shape[1], p).valid();
}

}  // namespace

// squeeze[n,c] = Σ_{h,w} y[n,h,w,c]
// y[n,h,w,c] = act(Σ_{r,s} x[n, h·stride − pad + r·dilation, w·stride − pad + s·dilation, c] · weight[r,s,c] + bias[c])
Status depthwise_conv2d(const DepthwiseConv2dArgs& a) {
  if (!fits(a.x, a.weight, a.y, a.conv) || !is_activation(a.activation) ||
      !absent_or(a.bias, a.y.dtype, {a.y.shape[3]}) || !absent_or(a.squeeze, a.y.dtype, {a.y.shape[0], a.y.shape[3]}))
    return Status::invalid_argument;
  const Window window = window_of(a.x.shape, a.y.shape, a.weight.shape[0], a.weight.shape[1], a.conv);

  return for_float_type(a.y.dtype, [&](auto type) {
    using T = decltype(type);
    const View4<const T> x(a.x);
    const View3<const T> weight(a.weight);
    const View4<T> y(a.y);
    const T* bias = optional<const T>(a.bias);
    for (auto [n, h, w, c] : y.indices()) {
      double sum = 0;
      for (int64_t r = 0; r < weight.extent(0); ++r)
        for (int64_t s = 0; s < weight.extent(1); ++s) {
          const int64_t ih = window.rows.input_at(h, r), iw = window.columns.input_at(w, s);
          if (ih >= 0 && iw >= 0) sum += double{x(n, ih, iw, c)} * weight(r, s, c);
        }
      if (bias) sum += bias[c];
      y(n, h, w, c) = static_cast<T>(activated(a.activation, sum));
    }
    if (!a.squeeze.present()) return;
    const View2<T> squeeze(a.squeeze);
    for (auto [n, c] : squeeze.indices()) {
      double sum = 0;
      for (int64_t h = 0; h < y.extent(1); ++h)
        for (int64_t w = 0; w < y.extent(2); ++w) sum += y(n, h, w, c);
      squeeze(n, c) = static_cast<T>(sum);
    }
  });
}

// dx[n,h,w,c] = Σ_{r,s} dy[n, the window whose tap (r,s) lies on (h,w), c] · weight[r,s,c]
Status depthwise_conv2d_backward_data(const DepthwiseConv2dBackwardDataArgs& a) {
  if (!fits(a.dx, a.weight, a.dy, a.conv)) return Status::invalid_argument;
  const Window window = window_of(a.dx.shape, a.dy.shape, a.weight.shape[0], a.weight.shape[1], a.conv);

  return for_float_type(a.dx.dtype, [&](auto type) {
    using T = decltype(type);
    const View4<const T> dy(a.dy);
    const View3<const T> weight(a.weight);
    const View4<T> dx(a.dx);
    for (auto [n, h, w, c] : dx.indices()) {
      double sum = 0;
      for (int64_t r = 0; r < weight.extent(0); ++r)
        for (int64_t s = 0; s < weight.extent(1); ++s) {
          const int64_t oh = window.rows.output_at(h, r), ow = window.columns.output_at(w, s);
          if (oh >= 0 && ow >= 0) sum += double{dy(n, oh, ow, c)} * weight(r, s, c);
        }
      dx(n, h, w, c) = static_cast<T>(sum);
    }
  });
}

// dweight[r,s,c] = Σ_{n,h,w} x[n, h·stride − pad + r·dilation, w·stride − pad + s·dilation, c] · dy[n,h,w,c]
Status depthwise_conv2d_backward_weight(const DepthwiseConv2dBackwardWeightArgs& a) {
  if (!fits(a.x, a.dweight, a.dy, a.conv)) return Status::invalid_argument;
  const Window window = window_of(a.x.shape, a.dy.shape, a.dweight.shape[0], a.dweight.shape[1], a.conv);

  return for_float_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    const View4<const T> x(a.x), dy(a.dy);
    const View3<T> dweight(a.dweight);
    for (auto [r, s, c] : dweight.indices()) {
      double sum = 0;
      for (int64_t n = 0; n < dy.extent(0); ++n)
        for (int64_t h = 0; h < dy.extent(1); ++h)
          for (int64_t w = 0; w < dy.extent(2); ++w) {
            const int64_t ih = window.rows.input_at(h, r), iw = window.columns.input_at(w, s);
            if (ih >= 0 && iw >= 0) sum += double{x(n, ih, iw, c)} * dy(n, h, w, c);
          }
      dweight(r, s, c) = static_cast<T>(sum);
    }
  });
}

}  // namespace graft::reference
