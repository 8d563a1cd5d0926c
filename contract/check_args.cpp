#include "contract/check_args.h"

#include <cmath>

namespace graft {

namespace {

bool is(const TensorView& v, DType dtype, const Shape& shape) { return v.dtype == dtype && v.shape == shape; }
bool absent_or(const TensorView& v, DType dtype, const Shape& shape) { return !v.present() || is(v, dtype, shape); }
bool is_share(double v) { return v >= 0 && v <= 1; }
bool is_decay(double v) { return v >= 0 && v < 1; }
bool up_to_flag(const TensorView& flag) { return absent_or(flag, DType::i64, {1}); }
bool is_wide(DType t) { return t == DType::f64 || t == DType::f32; }
bool is_narrow(DType t) { return t == DType::bf16 || t == DType::f16; }
bool is_activation(Activation a) { return a >= Activation::none && a <= Activation::sigmoid; }

// v has a · b · c elements, each factor at least 0; the factors may come from a hostile file.
bool has_elements(const TensorView& v, int64_t a, int64_t b, int64_t c = 1) {
  int64_t product = 0;
  if (a < 0 || b < 0 || c < 0) return false;
  if (a == 0 || b == 0 || c == 0) return v.numel() == 0;
  return !__builtin_mul_overflow(a, b, &product) && !__builtin_mul_overflow(product, c, &product) &&
         v.numel() == product;
}

bool window_fits(int64_t input, int64_t output, int64_t taps, int32_t stride, int32_t dilation, int32_t before,
                 int32_t after) {
  return stride >= 1 && dilation >= 1 && before >= 0 && after >= 0 && taps >= 1 && taps <= INT32_MAX && output >= 1 &&
         output == output_extent(input, before, after, taps, dilation, stride);
}

bool windows_fit(const Shape& x, const Shape& y, int64_t r, int64_t s, const Conv2dParams& p) {
  return window_fits(x[1], y[1], r, p.stride.h, p.dilation.h, p.pad.top, p.pad.bottom) &&
         window_fits(x[2], y[2], s, p.stride.w, p.dilation.w, p.pad.left, p.pad.right);
}

bool valid_conv(const TensorView& x, const TensorView& weight, const TensorView& y, const Conv2dParams& p) {
  if (x.shape.rank != 4 || weight.shape.rank != 4 || y.shape.rank != 4 || p.groups < 1) return false;
  const Shape &w = weight.shape, &xs = x.shape, &ys = y.shape;
  return w[0] % p.groups == 0 && xs[3] % p.groups == 0 && xs[3] / p.groups == w[3] && ys[0] == xs[0] && ys[3] == w[0] &&
         windows_fit(xs, ys, w[1], w[2], p);
}

bool valid_depthwise(const TensorView& x, const TensorView& weight, const TensorView& y, const Conv2dParams& p) {
  if (x.shape.rank != 4 || weight.shape.rank != 3 || y.shape.rank != 4) return false;
  const Shape &w = weight.shape, &xs = x.shape, &ys = y.shape;
  return xs[3] == w[2] && ys[0] == xs[0] && ys[3] == w[2] && windows_fit(xs, ys, w[0], w[1], p);
}

bool valid_pool(const TensorView& x, const TensorView& y, const PoolParams& p) {
  if (x.shape.rank != 4 || y.shape.rank != 4 || x.shape[0] != y.shape[0] || x.shape[3] != y.shape[3]) return false;
  return p.pad.top < p.window.h && p.pad.bottom < p.window.h && p.pad.left < p.window.w && p.pad.right < p.window.w &&
         windows_fit(x.shape, y.shape, p.window.h, p.window.w, {p.stride, {1, 1}, p.pad, 1});
}

bool valid_subsample(const TensorView& x, const TensorView& y, int32_t stride, int32_t before) {
  if (x.shape.rank != 4 || y.shape.rank != 4 || stride < 1 || before < 0) return false;
  return y.shape[0] == x.shape[0] && y.shape[1] == (x.shape[1] + stride - 1) / stride &&
         y.shape[2] == (x.shape[2] + stride - 1) / stride && before + x.shape[3] <= y.shape[3];
}

// All are there, and of the floating-point type t.
template <typename... Views>
bool of(DType t, const Views&... views) {
  return is_float(t) && ((views.dtype == t) && ...);
}

bool valid(const Conv2dArgs& a) {
  const DType t = a.x.dtype;
  return of(t, a.x, a.weight, a.y) && is_activation(a.activation) && valid_conv(a.x, a.weight, a.y, a.conv) &&
         absent_or(a.bias, vector_type(t), {a.weight.shape[0]}) && absent_or(a.residual, t, a.y.shape);
}
bool valid(const Conv2dBackwardDataArgs& a) {
  const DType t = a.dy.dtype;
  return of(t, a.dy, a.weight, a.dx) && valid_conv(a.dx, a.weight, a.dy, a.conv);
}
bool valid(const Conv2dBackwardWeightArgs& a) {
  const DType t = a.x.dtype;
  return of(t, a.x, a.dy) && a.dweight.dtype == vector_type(t) && valid_conv(a.x, a.dweight, a.dy, a.conv);
}

bool valid(const DepthwiseConv2dArgs& a) {
  const DType t = a.x.dtype;
  return of(t, a.x, a.weight, a.y) && is_activation(a.activation) && valid_depthwise(a.x, a.weight, a.y, a.conv) &&
         absent_or(a.bias, vector_type(t), {a.weight.shape[2]}) &&
         absent_or(a.squeeze, vector_type(t), {a.x.shape[0], a.x.shape[3]});
}
bool valid(const DepthwiseConv2dBackwardDataArgs& a) {
  const DType t = a.dy.dtype;
  return of(t, a.dy, a.weight, a.dx) && valid_depthwise(a.dx, a.weight, a.dy, a.conv);
}
bool valid(const DepthwiseConv2dBackwardWeightArgs& a) {
  const DType t = a.x.dtype;
  return of(t, a.x, a.dy) && a.dweight.dtype == vector_type(t) && valid_depthwise(a.x, a.dweight, a.dy, a.conv);
}

bool valid(const SqueezeExciteArgs& a) {
  const DType t = a.weight1.dtype;
  const Shape& w = a.weight1.shape;
  return of(t, a.weight1) && w.rank == 2 && w[0] <= SqueezeExciteArgs::kMaxUnits && is(a.weight2, t, {w[1], w[0]}) &&
         a.squeeze.shape.rank == 2 && is(a.squeeze, vector_type(t), {a.squeeze.shape[0], w[1]}) &&
         is(a.gate, t, a.squeeze.shape) && absent_or(a.bias1, vector_type(t), {w[0]}) &&
         absent_or(a.bias2, vector_type(t), {w[1]}) && is_activation(a.activation) && is_activation(a.gate_activation);
}

bool lets_pass_or_not(Activation a) { return a == Activation::relu || a == Activation::relu6; }
bool absent_or_mask(const TensorView& mask, const TensorView& x, Activation activation) {
  return !mask.present() || (lets_pass_or_not(activation) && is(mask, DType::u8, mask_shape(x.shape)));
}

bool valid(const BatchNormTrainingArgs& a) {
  const DType t = a.x.dtype;
  const Shape c = {a.x.shape.channels()};
  return of(t, a.x) && a.x.shape.rank >= 1 && is(a.y, t, a.x.shape) && is(a.weight, vector_type(t), c) &&
         is(a.bias, vector_type(t), c) && is(a.mean, vector_type(t), c) && is(a.var, vector_type(t), c) &&
         absent_or(a.residual, t, a.x.shape) && absent_or_mask(a.mask, a.x, a.activation) &&
         is_activation(a.activation) && a.eps >= 0;
}
bool valid(const BatchNormInferenceArgs& a) {
  const DType t = a.x.dtype;
  const Shape c = {a.x.shape.channels()};
  return of(t, a.x) && a.x.shape.rank >= 1 && is(a.y, t, a.x.shape) && is(a.weight, vector_type(t), c) &&
         is(a.bias, vector_type(t), c) && is(a.mean, vector_type(t), c) && is(a.var, vector_type(t), c) &&
         absent_or(a.residual, t, a.x.shape) && absent_or_mask(a.mask, a.x, a.activation) &&
         is_activation(a.activation) && a.eps >= 0;
}
bool valid(const BatchNormBackwardArgs& a) {
  const DType t = a.x.dtype;
  const Shape c = {a.x.shape.channels()};
  const bool known = a.activation == Activation::none || a.mask.present() || a.bias.present();
  return of(t, a.x) && a.x.shape.rank >= 1 && is(a.dy, t, a.x.shape) && is(a.weight, vector_type(t), c) &&
         absent_or(a.bias, vector_type(t), c) && is(a.mean, vector_type(t), c) && is(a.var, vector_type(t), c) &&
         absent_or_mask(a.mask, a.x, a.activation) && is_activation(a.activation) && known &&
         absent_or(a.dx, t, a.x.shape) && absent_or(a.dweight, vector_type(t), c) &&
         absent_or(a.dbias, vector_type(t), c) && absent_or(a.dresidual, t, a.x.shape) && a.eps >= 0;
}
bool valid(const UpdateRunningStatsArgs& a) {
  const DType t = a.mean.dtype;
  return is_wide(t) && is(a.var, t, a.mean.shape) && is(a.running_mean, t, a.mean.shape) &&
         is(a.running_var, t, a.mean.shape) && up_to_flag(a.flag) && is_share(a.momentum) && a.rows >= 2;
}

bool valid(const ActivateArgs& a) {
  const DType t = a.x.dtype;
  return of(t, a.x) && is(a.y, t, a.x.shape) && is_activation(a.activation);
}
bool valid(const ActivateBackwardArgs& a) {
  const DType t = a.saved.dtype;
  return of(t, a.dy) && is(a.saved, t, a.dy.shape) && is(a.dx, t, a.dy.shape) && is_activation(a.activation);
}
bool valid(const AddArgs& a) {
  const DType t = a.a.dtype;
  return of(t, a.a) && is(a.b, t, a.a.shape) && is(a.y, t, a.a.shape) && is_activation(a.activation);
}
bool valid(const ScaleArgs& a) {
  const DType t = a.x.dtype;
  return of(t, a.x) && is(a.y, t, a.x.shape);
}
bool valid(const MultiplyArgs& a) {
  const DType t = a.x.dtype;
  return of(t, a.x, a.s, a.y) && has_elements(a.x, a.outer, a.repeat, a.inner) && has_elements(a.s, a.outer, a.inner) &&
         a.y.numel() == a.x.numel();
}
bool valid(const MultiplyReduceArgs& a) {
  const DType t = a.x.dtype;
  return of(t, a.x, a.dy, a.ds) && has_elements(a.x, a.outer, a.repeat, a.inner) && a.dy.numel() == a.x.numel() &&
         has_elements(a.ds, a.outer, a.inner);
}
bool valid(const FillArgs& a) { return a.y.present(); }
bool valid(const CastArgs& a) { return a.x.present() && a.y.present() && a.x.shape == a.y.shape; }

bool valid(const PermuteArgs& a) {
  bool fits = a.x.present() && a.y.dtype == a.x.dtype && a.x.shape.rank == a.y.shape.rank;
  bool used[kMaxRank] = {};
  for (int axis = 0; fits && axis < a.x.shape.rank; ++axis) {
    const int32_t from = a.order[axis];
    fits = from >= 0 && from < a.x.shape.rank && !used[from] && a.y.shape[axis] == a.x.shape[from];
    if (fits) used[from] = true;
  }
  return fits;
}
bool valid(const CopySliceArgs& a) {
  const auto inside = [&](int64_t begin, int64_t row) { return begin >= 0 && row >= begin && a.count <= row - begin; };
  return a.x.present() && a.y.dtype == a.x.dtype && a.outer >= 0 && a.count >= 0 && inside(a.x_begin, a.x_row) &&
         inside(a.y_begin, a.y_row) && has_elements(a.x, a.outer, a.x_row) && has_elements(a.y, a.outer, a.y_row);
}
bool valid(const SubsamplePadArgs& a) {
  const DType t = a.x.dtype;
  return of(t, a.x, a.y) && valid_subsample(a.x, a.y, a.stride, a.before);
}
bool valid(const SubsamplePadBackwardArgs& a) {
  const DType t = a.dy.dtype;
  return of(t, a.dy, a.dx) && valid_subsample(a.dx, a.dy, a.stride, a.before);
}

bool valid(const MaxPoolArgs& a) {
  const DType t = a.x.dtype;
  const int64_t pixels = int64_t{a.pool.window.h} * a.pool.window.w;
  return of(t, a.x, a.y) && valid_pool(a.x, a.y, a.pool) &&
         (!a.index.present() || (pixels <= 255 && is(a.index, DType::u8, a.y.shape)));
}
bool valid(const MaxPoolBackwardArgs& a) {
  const DType t = a.dy.dtype;
  return of(t, a.dy, a.dx) && valid_pool(a.dx, a.dy, a.pool) && int64_t{a.pool.window.h} * a.pool.window.w <= 255 &&
         is(a.index, DType::u8, a.dy.shape);
}
bool valid(const AvgPoolArgs& a) {
  const DType t = a.x.dtype;
  return of(t, a.x, a.y) && valid_pool(a.x, a.y, a.pool);
}
bool valid(const AvgPoolBackwardArgs& a) {
  const DType t = a.dy.dtype;
  return of(t, a.dy, a.dx) && valid_pool(a.dx, a.dy, a.pool);
}

bool valid_adaptive(const TensorView& x, const TensorView& y) {
  return x.shape.rank == 4 && y.shape.rank == 4 && x.shape[0] == y.shape[0] && x.shape[3] == y.shape[3] &&
         x.shape[1] >= 1 && x.shape[2] >= 1 && y.shape[1] >= 1 && y.shape[2] >= 1;
}
bool valid(const AdaptiveAvgPoolArgs& a) {
  const DType t = a.x.dtype;
  return of(t, a.x, a.y) && valid_adaptive(a.x, a.y);
}
bool valid(const AdaptiveAvgPoolBackwardArgs& a) {
  const DType t = a.dy.dtype;
  return of(t, a.dy, a.dx) && valid_adaptive(a.dx, a.dy);
}

bool valid(const MatmulArgs& a) {
  const DType t = a.a.dtype;
  bool fits = a.a.shape.rank == 2 && a.b.shape.rank == 2 && a.y.shape.rank == 2 && is_activation(a.activation);
  if (fits) {
    const int64_t m = a.a.shape[a.transpose_a ? 1 : 0], k = a.a.shape[a.transpose_a ? 0 : 1];
    const int64_t n = a.b.shape[a.transpose_b ? 0 : 1], kb = a.b.shape[a.transpose_b ? 1 : 0];
    fits = k == kb && a.y.shape == Shape{m, n} && absent_or(a.bias, vector_type(t), {n});
  }
  return of(t, a.a, a.b) && fits && (a.y.dtype == t || a.y.dtype == vector_type(t));
}
bool valid(const ReduceArgs& a) {
  const DType t = a.x.dtype;
  return of(t, a.x) && (a.y.dtype == t || a.y.dtype == vector_type(t)) &&
         has_elements(a.x, a.outer, a.count, a.inner) && has_elements(a.y, a.outer, a.inner) &&
         a.reduction >= Reduction::sum && a.reduction <= Reduction::max;
}
bool valid(const BroadcastArgs& a) {
  const DType t = a.x.dtype;
  return of(t, a.x, a.y) && has_elements(a.x, a.outer, a.inner) && has_elements(a.y, a.outer, a.count, a.inner);
}
bool valid(const SoftmaxArgs& a) {
  const DType t = a.x.dtype;
  return of(t, a.x) && a.x.shape.rank >= 1 && is(a.y, t, a.x.shape);
}
bool valid(const SoftmaxBackwardArgs& a) {
  const DType t = a.y.dtype;
  return of(t, a.y) && a.y.shape.rank >= 1 && is(a.dy, t, a.y.shape) && is(a.dx, t, a.y.shape);
}
bool valid(const SoftmaxCrossEntropyArgs& a) {
  const DType t = a.logits.dtype;
  return of(t, a.logits) && a.logits.shape.rank == 2 && is(a.targets, DType::i64, {a.logits.shape[0]}) &&
         absent_or(a.class_weights, vector_type(t), {a.logits.shape[1]}) && is_share(a.label_smoothing) &&
         is(a.loss, vector_type(t), {1});
}
bool valid(const SoftmaxCrossEntropyBackwardArgs& a) {
  const DType t = a.logits.dtype;
  return of(t, a.logits) && a.logits.shape.rank == 2 && is(a.targets, DType::i64, {a.logits.shape[0]}) &&
         absent_or(a.class_weights, vector_type(t), {a.logits.shape[1]}) && is_share(a.label_smoothing) &&
         is(a.dloss, vector_type(t), {1}) && is(a.dlogits, t, a.logits.shape);
}

bool valid(const BernoulliMaskArgs& a) {
  const DType t = a.y.dtype;
  return of(t, a.y) && is(a.state, DType::i64, {2}) && a.probability >= 0 && a.probability < 1;
}
bool valid(const CheckFiniteArgs& a) {
  const DType t = a.x.dtype;
  return of(t, a.x) && is(a.flag, DType::i64, {1});
}
template <typename Args>
bool valid_update(const Args& a) {
  const DType t = a.gradient.dtype;
  return is_wide(t) && is(a.parameter, t, a.gradient.shape) && is(a.learning_rate, DType::f64, {1}) &&
         is(a.step, DType::i64, {1}) && up_to_flag(a.flag) && absent_or(a.gradient_factor, t, {1}) &&
         (!a.copy.present() || (is_narrow(a.copy.dtype) && a.copy.shape == a.gradient.shape)) &&
         std::isfinite(a.weight_decay);
}
bool valid(const SgdArgs& a) {
  const DType t = a.gradient.dtype;
  return valid_update(a) && std::isfinite(a.momentum) &&
         (a.momentum == 0 ? !a.velocity.present() || a.velocity.dtype == t : is(a.velocity, t, a.gradient.shape));
}
bool valid(const AdamWArgs& a) {
  const DType t = a.gradient.dtype;
  return valid_update(a) && is(a.m, t, a.gradient.shape) && is(a.v, t, a.gradient.shape) && is_decay(a.beta1) &&
         is_decay(a.beta2) && a.eps >= 0;
}
bool valid(const EmaArgs& a) {
  const DType t = a.parameter.dtype;
  return is_wide(t) && is(a.average, t, a.parameter.shape) && up_to_flag(a.flag) && is_decay(a.decay);
}
bool valid(const ClipFactorArgs& a) {
  const DType t = a.gradient.dtype;
  return is_wide(t) && up_to_flag(a.flag) && is(a.norm, t, {1}) && is(a.factor, t, {1}) && a.max_norm > 0;
}
bool valid(const FinishStepArgs& a) {
  return up_to_flag(a.flag) && is(a.step, DType::i64, {1}) && absent_or(a.random_state, DType::i64, {2});
}

bool valid(const ResizeImagesArgs& a) {
  const Shape& y = a.y.shape;
  bool fits =
      is_float(a.y.dtype) && y.rank == 4 && y[3] == 3 && a.pixels.dtype == DType::u8 && a.pixels.shape.rank == 1;
  for (int c = 0; c < 3; ++c) fits = fits && std::isfinite(a.mean[c]) && std::isfinite(a.std[c]) && a.std[c] > 0;
  return fits && is(a.boxes, DType::i64, {y[0], ResizeImagesArgs::kBoxFields}) &&
         (a.filter == ResizeFilter::bilinear || a.filter == ResizeFilter::bicubic);
}

}  // namespace

DType computes_in(Primitive primitive, const void* args) {
  switch (primitive) {
    case Primitive::fill:
    case Primitive::cast:
    case Primitive::permute:
    case Primitive::copy_slice:
    case Primitive::finish_step:
      return DType::none;
    case Primitive::squeeze_excite:
      return static_cast<const SqueezeExciteArgs*>(args)->weight1.dtype;
    case Primitive::bernoulli_mask:
      return static_cast<const BernoulliMaskArgs*>(args)->y.dtype;
    case Primitive::resize_images:
      return static_cast<const ResizeImagesArgs*>(args)->y.dtype;
    default:
      return views_of(args)[0].dtype;
  }
}

bool may_alias(Primitive primitive, int32_t input) {
  switch (primitive) {
    case Primitive::activate:
    case Primitive::scale:
    case Primitive::multiply:
      return input == 0;  // x
    case Primitive::activate_backward:
      return input == 1;  // dy
    case Primitive::add:
      return input <= 1;  // a or b
    default:
      return false;
  }
}

Status check_args(Primitive primitive, const void* args) {
  for (int i = 0; i < info_of(primitive).roles.total(); ++i)
    if (!well_formed(views_of(args)[i])) return Status::invalid_argument;
  const auto status = [](bool is_valid) { return is_valid ? Status::ok : Status::invalid_argument; };
  switch (primitive) {
#define X(name, Args)   \
  case Primitive::name: \
    return status(valid(*static_cast<const Args*>(args)));
    GRAFT_PRIMITIVES(X)
#undef X
  }
  return Status::invalid_argument;
}

Status check_f32_args(Primitive primitive, const void* args) {
  if (const Status status = check_args(primitive, args); status != Status::ok) return status;
  const DType type = computes_in(primitive, args);
  return type == DType::none || type == DType::f32 ? Status::ok : Status::unsupported;
}

bool check_memory(Primitive primitive, const void* args) {
  const TensorView* views = views_of(args);
  const Roles roles = info_of(primitive).roles;
  const auto begin = [&](int i) { return reinterpret_cast<uintptr_t>(views[i].data); };
  const auto end = [&](int i) { return begin(i) + static_cast<uintptr_t>(views[i].bytes()); };
  for (int i = 0; i < roles.total(); ++i)
    if (views[i].bytes() > 0 && views[i].data == nullptr) return false;
  for (int out = roles.inputs; out < roles.total(); ++out)
    for (int other = 0; other < out; ++other) {
      if (begin(out) == end(out) || begin(other) == end(other)) continue;
      if (begin(out) >= end(other) || begin(other) >= end(out)) continue;
      const bool same = begin(out) == begin(other) && end(out) == end(other);
      if (!same || out != roles.inputs || !may_alias(primitive, other)) return false;
    }
  return true;
}

}  // namespace graft
