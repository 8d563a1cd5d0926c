// Convolution, as cross-correlation, dense or in groups: output channel k sees the C/groups channels of its group.
// Padded pixels contribute nothing.
#include "kernels/reference/activation.h"
#include "kernels/reference/checks.h"
#include "kernels/reference/primitives.h"
#include "kernels/reference/views.h"
#include "kernels/reference/window.h"

namespace graft::reference {

namespace {

// x [N,H,W,C]; weight [K,R,S,C/groups]; y [N,Ho,Wo,K]
bool fits(const TensorView& x, const TensorView& weight, const TensorView& y, const Conv2dParams& p) {
  if (!one_float_type(x, weight, y) || x.shape.rank != 4 || weight.shape.rank != 4 || y.shape.rank != 4) return false;
  return p.groups >= 1 && weight.shape[0] % p.groups == 0 && x.shape[3] % p.groups == 0 &&
         weight.shape[3] == x.shape[3] / p.groups && y.shape[0] == x.shape[0] && y.shape[3] == weight.shape[0] &&
         window_of(x.shape, y.shape, weight.shape[1], weight.shape[2], p).valid();
}

}  // namespace

// y[n,h,w,k] = act(Σ_{r,s,c} x[n, h·stride − pad + r·dilation, w·stride − pad + s·dilation, group(k)·C/groups + c] ·
//                  weight[k,r,s,c] + bias[k] + residual[n,h,w,k])
Status conv2d(const Conv2dArgs& a) {
  if (!fits(a.x, a.weight, a.y, a.conv) || !is_activation(a.activation) ||
      !absent_or(a.bias, a.y.dtype, {a.y.shape[3]}) || !absent_or(a.residual, a.y.dtype, a.y.shape))
    return Status::invalid_argument;
  const Window window = window_of(a.x.shape, a.y.shape, a.weight.shape[1], a.weight.shape[2], a.conv);

  return for_float_type(a.y.dtype, [&](auto type) {
    using T = decltype(type);
    const View4<const T> x(a.x), weight(a.weight), residual(a.residual);
    const View4<T> y(a.y);
    const T* bias = optional<const T>(a.bias);
    for (auto [n, h, w, k] : y.indices()) {
      const int64_t group = k / (weight.extent(0) / a.conv.groups), first = group * weight.extent(3);
      double sum = 0;
      for (int64_t r = 0; r < weight.extent(1); ++r)
        for (int64_t s = 0; s < weight.extent(2); ++s) {
          const int64_t ih = window.rows.input_at(h, r), iw = window.columns.input_at(w, s);
          if (ih < 0 || iw < 0) continue;
          for (int64_t c = 0; c < weight.extent(3); ++c) sum += double{x(n, ih, iw, first + c)} * weight(k, r, s, c);
        }
      if (bias) sum += bias[k];
      if (a.residual.present()) sum += residual(n, h, w, k);
      y(n, h, w, k) = static_cast<T>(activated(a.activation, sum));
    }
  });
}

// dx[n,h,w,c] = Σ_{k of c's group} Σ_{r,s} dy[n, the window whose tap (r,s) lies on (h,w), k] · weight[k,r,s,c]
Status conv2d_backward_data(const Conv2dBackwardDataArgs& a) {
  if (!fits(a.dx, a.weight, a.dy, a.conv)) return Status::invalid_argument;
  const Window window = window_of(a.dx.shape, a.dy.shape, a.weight.shape[1], a.weight.shape[2], a.conv);

  return for_float_type(a.dx.dtype, [&](auto type) {
    using T = decltype(type);
    const View4<const T> dy(a.dy), weight(a.weight);
    const View4<T> dx(a.dx);
    const int64_t outputs_per_group = weight.extent(0) / a.conv.groups;
    for (auto [n, h, w, c] : dx.indices()) {
      const int64_t group = c / weight.extent(3), channel = c % weight.extent(3);
      double sum = 0;
      for (int64_t r = 0; r < weight.extent(1); ++r)
        for (int64_t s = 0; s < weight.extent(2); ++s) {
          const int64_t oh = window.rows.output_at(h, r), ow = window.columns.output_at(w, s);
          if (oh < 0 || ow < 0) continue;
          for (int64_t k = group * outputs_per_group; k < (group + 1) * outputs_per_group; ++k)
            sum += double{dy(n, oh, ow, k)} * weight(k, r, s, channel);
        }
      dx(n, h, w, c) = static_cast<T>(sum);
    }
  });
}

// dweight[k,r,s,c] = Σ_{n,h,w} x[n, h·stride − pad + r·dilation, …, group(k)·C/groups + c] · dy[n,h,w,k]
Status conv2d_backward_weight(const Conv2dBackwardWeightArgs& a) {
  if (!fits(a.x, a.dweight, a.dy, a.conv)) return Status::invalid_argument;
  const Window window = window_of(a.x.shape, a.dy.shape, a.dweight.shape[1], a.dweight.shape[2], a.conv);

  return for_float_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    const View4<const T> x(a.x), dy(a.dy);
    const View4<T> dweight(a.dweight);
    for (auto [k, r, s, c] : dweight.indices()) {
      const int64_t group = k / (dweight.extent(0) / a.conv.groups), channel = group * dweight.extent(3) + c;
      double sum = 0;
      for (int64_t n = 0; n < dy.extent(0); ++n)
        for (int64_t h = 0; h < dy.extent(1); ++h)
          for (int64_t w = 0; w < dy.extent(2); ++w) {
            const int64_t ih = window.rows.input_at(h, r), iw = window.columns.input_at(w, s);
            if (ih >= 0 && iw >= 0) sum += double{x(n, ih, iw, channel)} * dy(n, h, w, k);
          }
      dweight(k, r, s, c) = static_cast<T>(sum);
    }
  });
}

}  // namespace graft::reference
