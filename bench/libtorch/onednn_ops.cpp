#include "bench/libtorch/onednn_ops.h"

#include "bench/libtorch/tensors.h"

namespace graft::bench {

namespace {

using Tensors = std::vector<at::Tensor>;

TorchOp convolution(const TensorView& x_view, const at::Tensor& weight, const TensorView& bias, const Conv2dParams& p,
                    int64_t groups) {
  if (p.pad.top != p.pad.bottom || p.pad.left != p.pad.right || x_view.dtype != DType::f32) return {};
  const std::vector<int64_t> pad = {p.pad.top, p.pad.left}, stride = {p.stride.h, p.stride.w},
                             dilation = {p.dilation.h, p.dilation.w};
  const at::Tensor plain_x = image(x_view).contiguous(), x = plain_x.to_mkldnn();
  const at::Tensor w =
      at::mkldnn_reorder_conv2d_weight(weight.contiguous().to_mkldnn(), pad, stride, dilation, groups, plain_x.sizes());
  const at::Tensor b = bias.present() ? plain(bias).to_mkldnn() : at::Tensor();
  return {[=] { return Tensors{at::mkldnn_convolution(x, w, b, pad, stride, dilation, groups)}; },
          [](const Tensors& t) {
            return Tensors{t[0].to_dense().permute({0, 2, 3, 1})};
          }};
}

}  // namespace

TorchOp onednn_op(const PeerCase& c, at::Device) {
  if (c.primitive == Primitive::conv2d) {
    const auto& a = c.as<Conv2dArgs>();
    if (a.residual.present() || a.activation != Activation::none) return {};
    return convolution(a.x, image(a.weight), a.bias, a.conv, a.conv.groups);
  }
  if (c.primitive == Primitive::depthwise_conv2d) {
    const auto& a = c.as<DepthwiseConv2dArgs>();
    if (a.activation != Activation::none) return {};
    return convolution(a.x, depthwise_filter(a.weight), a.bias, a.conv, a.x.shape[3]);
  }
  return {};
}

}  // namespace graft::bench
