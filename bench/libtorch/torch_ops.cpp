#include "bench/libtorch/torch_ops.h"

#include "bench/libtorch/tensors.h"

namespace graft::bench {

namespace {

using Tensors = std::vector<at::Tensor>;

struct Context {
  at::Device device;
  at::Tensor on(const at::Tensor& t) const { return t.defined() ? t.to(device) : t; }
  at::Tensor plain(const TensorView& v) const { return on(bench::plain(v)); }
  at::Tensor image(const TensorView& v) const { return on(bench::image(v)); }
  at::Tensor filter(const TensorView& v) const { return on(depthwise_filter(v)); }
};

at::Tensor nhwc(const at::Tensor& t) { return t.permute({0, 2, 3, 1}); }
at::Tensor hwc(const at::Tensor& filter) { return filter.squeeze(1).permute({1, 2, 0}); }

TorchOp one(std::function<at::Tensor()> run, std::function<at::Tensor(at::Tensor)> order = nullptr) {
  return {[run] { return Tensors{run()}; }, [order](const Tensors& t) { return Tensors{order ? order(t[0]) : t[0]}; }};
}

void activate_(at::Tensor& t, Activation activation) {
  switch (activation) {
    case Activation::none:
      break;
    case Activation::relu:
      t.relu_();
      break;
    case Activation::relu6:
      at::hardtanh_(t, 0, 6);
      break;
    case Activation::silu:
      at::silu_(t);
      break;
    case Activation::sigmoid:
      t.sigmoid_();
      break;
  }
}

struct Geometry {
  std::vector<int64_t> stride, pad, dilation;
  bool even = true;  // LibTorch pads both sides alike
};
Geometry geometry_of(const Conv2dParams& p) {
  return {{p.stride.h, p.stride.w},
          {p.pad.top, p.pad.left},
          {p.dilation.h, p.dilation.w},
          p.pad.top == p.pad.bottom && p.pad.left == p.pad.right};
}
Geometry geometry_of(const PoolParams& p) {
  return {{p.stride.h, p.stride.w},
          {p.pad.top, p.pad.left},
          {1, 1},
          p.pad.top == p.pad.bottom && p.pad.left == p.pad.right};
}

TorchOp forward_conv(const Geometry& g, const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias,
                     const at::Tensor& residual, Activation activation, int64_t groups) {
  if (!g.even) return {};
  return one(
      [=] {
        at::Tensor y = at::convolution(x, w, bias, g.stride, g.pad, g.dilation, false, {0, 0}, groups);
        if (residual.defined()) y.add_(residual);
        activate_(y, activation);
        return y;
      },
      nhwc);
}

// One of dx and dweight.
TorchOp backward_conv(const Geometry& g, const at::Tensor& dy, const at::Tensor& x, const at::Tensor& w, bool data,
                      int64_t groups, std::function<at::Tensor(at::Tensor)> order) {
  if (!g.even) return {};
  return one(
      [=] {
        auto [dx, dw, db] = at::convolution_backward(dy, x, w, c10::nullopt, g.stride, g.pad, g.dilation, false, {0, 0},
                                                     groups, {data, !data, false});
        return data ? dx : dw;
      },
      std::move(order));
}

TorchOp make(const Context& c, const Conv2dArgs& a) {
  return forward_conv(geometry_of(a.conv), c.image(a.x), c.image(a.weight), c.plain(a.bias), c.image(a.residual),
                      a.activation, a.conv.groups);
}
TorchOp make(const Context& c, const Conv2dBackwardDataArgs& a) {
  return backward_conv(geometry_of(a.conv), c.image(a.dy), c.image(a.dx), c.image(a.weight), true, a.conv.groups, nhwc);
}
TorchOp make(const Context& c, const Conv2dBackwardWeightArgs& a) {
  const at::Tensor weight = c.image(a.dweight).to(type_of(a.x.dtype));
  return backward_conv(geometry_of(a.conv), c.image(a.dy), c.image(a.x), weight, false, a.conv.groups, nhwc);
}
TorchOp make(const Context& c, const DepthwiseConv2dArgs& a) {
  return forward_conv(geometry_of(a.conv), c.image(a.x), c.filter(a.weight), c.plain(a.bias), {}, a.activation,
                      a.x.shape[3]);
}
TorchOp make(const Context& c, const DepthwiseConv2dBackwardDataArgs& a) {
  return backward_conv(geometry_of(a.conv), c.image(a.dy), c.image(a.dx), c.filter(a.weight), true, a.dx.shape[3],
                       nhwc);
}
TorchOp make(const Context& c, const DepthwiseConv2dBackwardWeightArgs& a) {
  const at::Tensor weight = c.filter(a.dweight).to(type_of(a.x.dtype));
  return backward_conv(geometry_of(a.conv), c.image(a.dy), c.image(a.x), weight, false, a.x.shape[3], hwc);
}

TorchOp make(const Context& c, const MatmulArgs& a) {
  at::Tensor left = c.plain(a.a), right = c.plain(a.b);
  const at::Tensor bias = a.bias.present() ? c.plain(a.bias).to(left.dtype()) : at::Tensor();
  if (a.transpose_a) left = left.t();
  if (a.transpose_b) right = right.t();
  return one([=, activation = a.activation] {
    at::Tensor y = bias.defined() ? at::addmm(bias, left, right) : at::mm(left, right);
    activate_(y, activation);
    return y;
  });
}

TorchOp make(const Context& c, const BatchNormTrainingArgs& a) {
  const at::Tensor x = c.image(a.x), w = c.plain(a.weight), b = c.plain(a.bias), residual = c.image(a.residual);
  const double eps = a.eps;
  return {[=, activation = a.activation] {
            auto [y, mean, inv_std] = at::native_batch_norm(x, w, b, {}, {}, true, 0.1, eps);
            if (residual.defined()) y.add_(residual);
            activate_(y, activation);
            return Tensors{y, mean, inv_std};
          },
          [eps](const Tensors& t) {
            return Tensors{nhwc(t[0]), t[1], t[2].pow(-2) - eps};
          }};
}
TorchOp make(const Context& c, const BatchNormInferenceArgs& a) {
  const at::Tensor x = c.image(a.x), w = c.plain(a.weight), b = c.plain(a.bias), mean = c.plain(a.mean),
                   var = c.plain(a.var), residual = c.image(a.residual);
  return one(
      [=, eps = a.eps, activation = a.activation] {
        at::Tensor y = std::get<0>(at::native_batch_norm(x, w, b, mean, var, false, 0.1, eps));
        if (residual.defined()) y.add_(residual);
        activate_(y, activation);
        return y;
      },
      nhwc);
}
TorchOp make(const Context& c, const BatchNormBackwardArgs& a) {
  if (a.activation != Activation::none) return {};  // of graft's own fusing
  const at::Tensor x = c.image(a.x), dy = c.image(a.dy), w = c.plain(a.weight), mean = c.plain(a.mean),
                   var = c.plain(a.var), inv_std = (var + a.eps).rsqrt();
  return {[=, eps = a.eps, batch = a.batch_statistics != 0] {
            auto [dx, dw, db] =
                at::native_batch_norm_backward(dy, x, w, mean, var, mean, inv_std, batch, eps, {true, true, true});
            return Tensors{dx, dw, db};
          },
          [](const Tensors& t) {
            return Tensors{nhwc(t[0]), t[1], t[2]};
          }};
}

TorchOp make(const Context& c, const ActivateArgs& a) {
  const at::Tensor x = c.plain(a.x);
  switch (a.activation) {
    case Activation::relu:
      return one([=] { return at::relu(x); });
    case Activation::relu6:
      return one([=] { return at::hardtanh(x, 0, 6); });
    case Activation::silu:
      return one([=] { return at::silu(x); });
    case Activation::sigmoid:
      return one([=] { return at::sigmoid(x); });
    default:
      return {};
  }
}
TorchOp make(const Context& c, const ActivateBackwardArgs& a) {
  const at::Tensor saved = c.plain(a.saved), dy = c.plain(a.dy);
  switch (a.activation) {
    case Activation::relu:
      return one([=] { return at::threshold_backward(dy, saved, 0); });
    case Activation::relu6:
      return one([=] { return at::hardtanh_backward(dy, saved, 0, 6); });
    case Activation::silu:
      return one([=] { return at::silu_backward(dy, saved); });
    case Activation::sigmoid:
      return one([=] { return at::sigmoid_backward(dy, saved); });
    default:
      return {};
  }
}

TorchOp make(const Context& c, const AddArgs& a) {
  const at::Tensor x = c.plain(a.a), b = c.plain(a.b);
  return one([=, activation = a.activation] {
    at::Tensor y = at::add(x, b);
    activate_(y, activation);
    return y;
  });
}
TorchOp make(const Context& c, const ScaleArgs& a) {
  const at::Tensor x = c.plain(a.x);
  return one([=, factor = a.factor] { return at::mul(x, factor); });
}
TorchOp make(const Context& c, const MultiplyArgs& a) {
  const at::Tensor x = c.plain(a.x).view({a.outer, a.repeat, a.inner}), s = c.plain(a.s).view({a.outer, 1, a.inner});
  return one([=] { return at::mul(x, s); });
}
TorchOp make(const Context& c, const MultiplyReduceArgs& a) {
  const at::Tensor x = c.plain(a.x).view({a.outer, a.repeat, a.inner}),
                   dy = c.plain(a.dy).view({a.outer, a.repeat, a.inner});
  return one([=] { return at::sum(at::mul(x, dy), {1}); });  // what its autograd runs for a broadcast product
}

TorchOp make(const Context& c, const MaxPoolArgs& a) {
  const Geometry g = geometry_of(a.pool);
  if (!g.even) return {};
  const at::Tensor x = c.image(a.x);
  const std::vector<int64_t> window = {a.pool.window.h, a.pool.window.w};
  return {[=] {
            auto [y, index] = at::max_pool2d_with_indices(x, window, g.stride, g.pad, {1, 1}, false);
            return Tensors{y, index};
          },
          [](const Tensors& t) {
            return Tensors{nhwc(t[0]), {}};
          }};  // its indices count pixels of the image
}
TorchOp make(const Context& c, const MaxPoolBackwardArgs& a) {
  const Geometry g = geometry_of(a.pool);
  if (!g.even) return {};
  const at::Tensor dy = c.image(a.dy), x = c.image(a.dx);
  const std::vector<int64_t> window = {a.pool.window.h, a.pool.window.w};
  // The winner r·S + s of a window as a pixel of the image.
  const at::Tensor place = nhwc(c.image(a.index).to(at::kLong));
  const auto range = [&](int64_t n, int64_t stride, int64_t pad, const std::vector<int64_t>& shape) {
    return (at::arange(n, at::TensorOptions().dtype(at::kLong).device(c.device)) * stride - pad).view(shape);
  };
  const at::Tensor h = range(a.dy.shape[1], g.stride[0], g.pad[0], {1, -1, 1, 1}) + place.div(window[1], "floor");
  const at::Tensor w = range(a.dy.shape[2], g.stride[1], g.pad[1], {1, 1, -1, 1}) + place.remainder(window[1]);
  const at::Tensor index = (h * a.dx.shape[2] + w).permute({0, 3, 1, 2}).contiguous(at::MemoryFormat::ChannelsLast);
  return one(
      [=] {
        return at::max_pool2d_with_indices_backward(dy, x, window, g.stride, g.pad, {1, 1}, false, index);
      },
      nhwc);
}
TorchOp make(const Context& c, const AvgPoolArgs& a) {
  const Geometry g = geometry_of(a.pool);
  if (!g.even) return {};
  const at::Tensor x = c.image(a.x);
  const std::vector<int64_t> window = {a.pool.window.h, a.pool.window.w};
  return one(
      [=, all = a.pool.count_include_pad != 0] { return at::avg_pool2d(x, window, g.stride, g.pad, false, all); },
      nhwc);
}
TorchOp make(const Context& c, const AvgPoolBackwardArgs& a) {
  const Geometry g = geometry_of(a.pool);
  if (!g.even) return {};
  const at::Tensor dy = c.image(a.dy), x = c.image(a.dx);
  const std::vector<int64_t> window = {a.pool.window.h, a.pool.window.w};
  return one([=, all = a.pool.count_include_pad !=
                       0] { return at::avg_pool2d_backward(dy, x, window, g.stride, g.pad, false, all, c10::nullopt); },
             nhwc);
}
TorchOp make(const Context& c, const AdaptiveAvgPoolArgs& a) {
  const at::Tensor x = c.image(a.x);
  const std::vector<int64_t> size = {a.y.shape[1], a.y.shape[2]};
  return one([=] { return at::adaptive_avg_pool2d(x, size); }, nhwc);
}
TorchOp make(const Context& c, const AdaptiveAvgPoolBackwardArgs& a) {
  const at::Tensor dy = c.image(a.dy), x = c.image(a.dx);
  if (dy.size(2) != 1 || dy.size(3) != 1) return one([=] { return at::_adaptive_avg_pool2d_backward(dy, x); }, nhwc);
  // The global mean is a mean there, and its gradient a broadcast.
  const double pixels = static_cast<double>(x.size(2) * x.size(3));
  return one([=] { return at::div(dy.expand_as(x), pixels); }, nhwc);
}

TorchOp make(const Context& c, const ReduceArgs& a) {
  const at::Tensor x = c.plain(a.x).view({a.outer, a.count, a.inner});
  const at::ScalarType type = type_of(a.y.dtype);
  if (a.reduction == Reduction::sum) return one([=] { return at::sum(x, {1}, false, type); });
  if (a.reduction == Reduction::mean) return one([=] { return at::mean(x, {1}, false, type); });
  return one([=] { return at::amax(x, {1}); });
}
TorchOp make(const Context& c, const SoftmaxArgs& a) {
  const at::Tensor x = c.plain(a.x);
  return one([=] { return at::softmax(x, -1); });
}
TorchOp make(const Context& c, const SoftmaxBackwardArgs& a) {
  const at::Tensor y = c.plain(a.y), dy = c.plain(a.dy);
  return one([=] { return at::_softmax_backward_data(dy, y, -1, y.scalar_type()); });
}
TorchOp make(const Context& c, const SoftmaxCrossEntropyArgs& a) {
  const at::Tensor z = c.plain(a.logits), t = c.plain(a.targets), w = c.plain(a.class_weights);
  return one([=, smoothing = a.label_smoothing] {
    return at::cross_entropy_loss(z, t, w, at::Reduction::Mean, -100, smoothing);
  });
}
TorchOp make(const Context& c, const SoftmaxCrossEntropyBackwardArgs& a) {
  if (a.label_smoothing != 0) return {};
  const at::Tensor t = c.plain(a.targets), w = c.plain(a.class_weights), z = c.plain(a.logits);
  const at::Tensor log_p = at::log_softmax(z, 1), dloss = c.plain(a.dloss).squeeze(0).to(z.dtype());
  const at::Tensor total = std::get<1>(at::nll_loss_forward(log_p, t, w, at::Reduction::Mean, -100));
  return one([=] {
    const at::Tensor d = at::nll_loss_backward(dloss, log_p, t, w, at::Reduction::Mean, -100, total);
    return at::_log_softmax_backward_data(d, log_p, 1, log_p.scalar_type());
  });
}
TorchOp make(const Context& c, const CastArgs& a) {
  if (!is_float(a.y.dtype)) return {};
  const at::Tensor x = c.plain(a.x);
  return one([=, type = type_of(a.y.dtype)] { return x.to(type); });
}
TorchOp make(const Context& c, const PermuteArgs& a) {
  const at::Tensor x = c.plain(a.x);
  const std::vector<int64_t> order(a.order, a.order + a.x.shape.rank);
  return one([=] { return x.permute(order).contiguous(); });
}

// The fused optimisers move what they are given: each result is of the first call.
TorchOp make(const Context& c, const SgdArgs& a) {
  if (a.flag.present() || a.gradient_factor.present() || a.copy.present()) return {};
  const Tensors p = {c.plain(a.parameter).clone()}, g = {c.plain(a.gradient)};
  const Tensors v = a.velocity.present() ? Tensors{c.plain(a.velocity).clone()} : Tensors{};
  const double lr = *a.learning_rate.as<const double>();
  const bool first = *a.step.as<const int64_t>() == 0;
  return {[=, momentum = a.momentum, decay = a.weight_decay, nesterov = a.nesterov != 0] {
            at::_fused_sgd_(p, g, v, decay, momentum, lr, 0, nesterov, false, first);
            return Tensors{p[0], v.empty() ? at::Tensor() : v[0]};
          },
          [](const Tensors& t) { return t; }};
}
TorchOp make(const Context& c, const AdamWArgs& a) {
  if (a.flag.present() || a.gradient_factor.present() || a.copy.present()) return {};
  const Tensors p = {c.plain(a.parameter).clone()}, g = {c.plain(a.gradient)}, m = {c.plain(a.m).clone()},
                v = {c.plain(a.v).clone()};
  const double lr = *a.learning_rate.as<const double>();
  // It is told the step that it makes, graft how many are behind.
  const Tensors step = {at::full({}, static_cast<double>(*a.step.as<const int64_t>() + 1),
                                 at::TensorOptions().dtype(at::kFloat).device(c.device))};
  return {[=, b1 = a.beta1, b2 = a.beta2, eps = a.eps, decay = a.weight_decay] {
            at::_fused_adamw_(p, g, m, v, {}, step, lr, b1, b2, decay, eps, false, false);
            return Tensors{p[0], m[0], v[0]};
          },
          [](const Tensors& t) { return t; }};
}

TorchOp make(const Context&, const auto&) { return {}; }

}  // namespace

TorchOp torch_op(const PeerCase& c, at::Device device) {
  const Context context{device};
  switch (c.primitive) {
#define X(name, Args)   \
  case Primitive::name: \
    return make(context, c.as<Args>());
    GRAFT_PRIMITIVES(X)
#undef X
  }
  return {};
}

}  // namespace graft::bench
