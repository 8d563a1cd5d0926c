#include "models/rewrite.h"

#include <algorithm>

#include "core/error.h"
#include "models/lower.h"
#include "models/precision.h"

namespace graft::models {

namespace {

constexpr int32_t kNone = -1;

// The optional places of a call that a rewrite fills; nullptr where the primitive has none.
Activation* activation_of(PlanCall& call) {
  switch (call.primitive) {
    case Primitive::conv2d:
      return &args_of<Conv2dArgs>(call).activation;
    case Primitive::depthwise_conv2d:
      return &args_of<DepthwiseConv2dArgs>(call).activation;
    case Primitive::matmul:
      return &args_of<MatmulArgs>(call).activation;
    case Primitive::batch_norm_inference:
      return &args_of<BatchNormInferenceArgs>(call).activation;
    case Primitive::add:
      return &args_of<AddArgs>(call).activation;
    default:
      return nullptr;
  }
}
TensorView* residual_of(PlanCall& call) {
  switch (call.primitive) {
    case Primitive::conv2d:
      return &args_of<Conv2dArgs>(call).residual;
    case Primitive::batch_norm_inference:
      return &args_of<BatchNormInferenceArgs>(call).residual;
    default:
      return nullptr;
  }
}
struct WeightAndBias {
  TensorView *weight = nullptr, *bias = nullptr;
};
WeightAndBias weight_and_bias_of(PlanCall& call) {
  switch (call.primitive) {
    case Primitive::conv2d:
      return {&args_of<Conv2dArgs>(call).weight, &args_of<Conv2dArgs>(call).bias};
    case Primitive::depthwise_conv2d:
      return {&args_of<DepthwiseConv2dArgs>(call).weight, &args_of<DepthwiseConv2dArgs>(call).bias};
    case Primitive::matmul:
      return {&args_of<MatmulArgs>(call).b, &args_of<MatmulArgs>(call).bias};
    default:
      return {};
  }
}

TensorView& output_of(PlanCall& call) { return call.views()[info_of(call.primitive).roles.inputs]; }

class Rewriter {
 public:
  explicit Rewriter(InferencePlan plan)
      : plan_(std::move(plan)),
        reads_(plan_.buffers.size()),
        writer_(plan_.buffers.size(), kNone),
        constant_(plan_.buffers.size(), kNone),
        dead_(plan_.calls.size()) {
    for (size_t at = 0; at < plan_.calls.size(); ++at) {
      const PlanCall& call = plan_.calls[at];
      const Roles roles = info_of(call.primitive).roles;
      for (int32_t v = 0; v < roles.total(); ++v) {
        if (!call.views()[v].present()) continue;
        const auto buffer = static_cast<size_t>(buffer_of(call.views()[v].data));
        if (v < roles.inputs + roles.inouts) ++reads_[buffer];
        if (v >= roles.inputs) writer_[buffer] = static_cast<int32_t>(at);
      }
    }
    for (size_t i = 0; i < plan_.constants.size(); ++i)
      constant_[static_cast<size_t>(plan_.constants[i].buffer)] = static_cast<int32_t>(i);
  }

  void fold_batch_norms() {
    for_each_live(Primitive::batch_norm_inference, [&](PlanCall& norm, int32_t) {
      const auto args = args_of<BatchNormInferenceArgs>(norm);
      const int32_t at = sole_producer(args.x);
      if (at == kNone) return;
      PlanCall& producer = plan_.calls[static_cast<size_t>(at)];
      const auto [weight, bias] = weight_and_bias_of(producer);
      if (!weight || !is_plain(producer)) return;

      // Shapes need no look: lowering only puts weight's rows and the batch norm's channels on the same last axis, but
      // a reshape in between (flatten of several pixels is a permutation, not a view) would break that.
      if (output_of(producer).shape.channels() != args.x.shape.channels()) return;
      if (!bias->present()) *bias = zeros({args.x.shape.channels()});
      const BatchNormFold fold{layer_of(args.weight), args.eps};
      constant_of(*weight).folds.push_back(fold);
      constant_of(*bias).folds.push_back(fold);
      take_over_output(at, norm);
    });
  }

  void fuse_residuals() {
    for_each_live(Primitive::add, [&](PlanCall& add, int32_t add_at) {
      const AddArgs args = args_of<AddArgs>(add);
      // The later of two candidates: the other is there already, and nothing lives longer than before.
      const int32_t a = residual_candidate(args.a), b = residual_candidate(args.b);
      const int32_t at = std::max(a, b);
      if (at == kNone) return;
      const TensorView& other = at == a ? args.b : args.a;

      // It moves to where the add was: its output was read nowhere else, its inputs are still there.
      PlanCall producer = plan_.calls[static_cast<size_t>(at)];
      TensorView& residual = *residual_of(producer);
      residual = other;
      residual.shape = output_of(producer).shape;
      output_of(producer).data = args.y.data;
      add = producer;
      dead_[static_cast<size_t>(at)] = true;
      writer_of(args.y) = add_at;
    });
  }

  void fuse_activations() {
    for_each_live(Primitive::activate, [&](PlanCall& activate, int32_t) {
      const auto args = args_of<ActivateArgs>(activate);
      const int32_t at = sole_producer(args.x);
      if (at == kNone) return;
      Activation* activation = activation_of(plan_.calls[static_cast<size_t>(at)]);
      if (!activation || *activation != Activation::none) return;
      *activation = args.activation;
      take_over_output(at, activate);
    });
  }

  // mean(x) → 1x1 convolution → 1x1 convolution → multiply(x, gate): the convolutions become one call. Where a
  // depthwise convolution makes x, its sums take the place of a mean that nobody else sees.
  void fuse_squeeze_excite() {
    for_each_live(Primitive::multiply, [&](PlanCall& multiply, int32_t) {
      const auto args = args_of<MultiplyArgs>(multiply);
      const int32_t second_at = writer_of(args.s);
      const Conv2dArgs* second = layer_of_pixel(second_at);
      if (!second) return;
      const int32_t first_at = sole_producer(second->x);
      const Conv2dArgs* first = layer_of_pixel(first_at);
      if (!first || first->weight.shape[0] > SqueezeExciteArgs::kMaxUnits) return;
      const int32_t pool_at = writer_of(first->x);
      const auto* pool = call_to<AdaptiveAvgPoolArgs>(pool_at);
      if (!pool || pool->x.data != args.x.data) return;

      const auto matrix = [](TensorView view) { return view.shape = {view.shape[0], view.shape[3]}, view; };
      SqueezeExciteArgs fused{.squeeze = matrix(first->x),
                              .weight1 = matrix(first->weight),
                              .bias1 = first->bias,
                              .weight2 = matrix(second->weight),
                              .bias2 = second->bias,
                              .gate = matrix(second->y),
                              .activation = first->activation,
                              .gate_activation = second->activation};
      auto* depthwise = call_to<DepthwiseConv2dArgs>(writer_of(pool->x));
      if (depthwise && sole_producer(first->x) == pool_at) {
        TensorView& sums = depthwise->squeeze;
        if (!sums.present()) sums = new_view(BufferKind::temporary, fused.squeeze.shape);
        fused.squeeze = sums;
        fused.factor = 1.0 / static_cast<double>(pool->x.shape[1] * pool->x.shape[2]);
        dead_[static_cast<size_t>(pool_at)] = true;
      }
      dead_[static_cast<size_t>(first_at)] = true;
      PlanCall& call = plan_.calls[static_cast<size_t>(second_at)];
      call.primitive = Primitive::squeeze_excite;
      args_of<SqueezeExciteArgs>(call) = fused;
    });
  }

  // Without the dead calls and the buffers that nothing uses any more.
  InferencePlan finish() {
    std::vector<int32_t> number(plan_.buffers.size(), kNone);
    std::vector<bool> used(plan_.buffers.size());
    for (int32_t buffer : plan_.inputs) used[static_cast<size_t>(buffer)] = true;
    for (int32_t buffer : plan_.outputs) used[static_cast<size_t>(buffer)] = true;
    InferencePlan out;
    for (size_t at = 0; at < plan_.calls.size(); ++at)
      if (!dead_[at]) out.calls.push_back(plan_.calls[at]);
    const auto for_each_view = [&](auto visit) {
      for (PlanCall& call : out.calls)
        for (int32_t v = 0; v < info_of(call.primitive).roles.total(); ++v)
          if (call.views()[v].present()) visit(call.views()[v]);
    };
    for_each_view([&](TensorView& view) { used[static_cast<size_t>(buffer_of(view.data))] = true; });
    for (size_t i = 0; i < used.size(); ++i) {
      if (!used[i]) continue;
      number[i] = static_cast<int32_t>(out.buffers.size());
      out.buffers.push_back(plan_.buffers[i]);
    }
    const auto renumbered = [&](int32_t buffer) { return number[static_cast<size_t>(buffer)]; };
    for_each_view(
        [&](TensorView& view) { view.data = virtual_address(renumbered(buffer_of(view.data)), offset_of(view.data)); });
    for (PlanConstant& constant : plan_.constants) {
      if (renumbered(constant.buffer) == kNone) continue;
      constant.buffer = renumbered(constant.buffer);
      out.constants.push_back(std::move(constant));
    }
    for (int32_t buffer : plan_.inputs) out.inputs.push_back(renumbered(buffer));
    for (int32_t buffer : plan_.outputs) out.outputs.push_back(renumbered(buffer));
    out.layer_names = std::move(plan_.layer_names);
    return out;
  }

 private:
  template <typename Rewrite>
  void for_each_live(Primitive primitive, Rewrite rewrite) {
    for (size_t at = 0; at < plan_.calls.size(); ++at)
      if (!dead_[at] && plan_.calls[at].primitive == primitive) rewrite(plan_.calls[at], static_cast<int32_t>(at));
  }

  // The call that makes this value, when nobody else sees it.
  int32_t sole_producer(const TensorView& view) const {
    const auto buffer = static_cast<size_t>(buffer_of(view.data));
    const bool hidden = plan_.buffers[buffer].kind == BufferKind::temporary && reads_[buffer] == 1;
    return hidden ? writer_[buffer] : kNone;
  }
  // Nothing happens to its sum yet.
  static bool is_plain(PlanCall& call) {
    const TensorView* residual = residual_of(call);
    return *activation_of(call) == Activation::none && !(residual && residual->present());
  }
  // The arguments of a call, if it is one of these.
  template <typename Args>
  Args* call_to(int32_t at) {
    if (at == kNone || plan_.calls[static_cast<size_t>(at)].primitive != primitive_of<Args>) return nullptr;
    return &args_of<Args>(plan_.calls[static_cast<size_t>(at)]);
  }
  // A convolution that is a linear layer: it sees one pixel, and that through its only tap.
  const Conv2dArgs* layer_of_pixel(int32_t at) {
    const auto* a = call_to<Conv2dArgs>(at);
    if (!a || a->conv.groups != 1 || a->residual.present()) return nullptr;
    const Shape &x = a->x.shape, &y = a->y.shape, &w = a->weight.shape;
    const bool one = x[1] * x[2] == 1 && y[1] * y[2] == 1 && w[1] * w[2] == 1;
    return one && a->conv.pad.top == 0 && a->conv.pad.left == 0 ? a : nullptr;
  }
  int32_t residual_candidate(const TensorView& view) {
    const int32_t at = sole_producer(view);
    if (at == kNone) return kNone;
    PlanCall& call = plan_.calls[static_cast<size_t>(at)];
    return residual_of(call) && is_plain(call) ? at : kNone;
  }

  // `at` writes what `consumer` wrote, which is gone.
  void take_over_output(int32_t at, PlanCall& consumer) {
    const TensorView y = output_of(consumer);
    dead_[static_cast<size_t>(writer_of(y))] = true;
    output_of(plan_.calls[static_cast<size_t>(at)]).data = y.data;
    writer_of(y) = at;
  }
  int32_t& writer_of(const TensorView& view) { return writer_[static_cast<size_t>(buffer_of(view.data))]; }

  PlanConstant& constant_of(const TensorView& view) {
    return plan_.constants[static_cast<size_t>(constant_[static_cast<size_t>(buffer_of(view.data))])];
  }
  // "bn1" of "bn1.weight"
  std::string layer_of(const TensorView& weight) {
    const std::string& name = constant_of(weight).tensor;
    return name.substr(0, name.rfind('.'));
  }
  TensorView zeros(const Shape& shape) {
    const TensorView view = new_view(BufferKind::constant, shape);
    constant_.back() = static_cast<int32_t>(plan_.constants.size());
    plan_.constants.push_back({buffer_of(view.data), "", false, {}});
    return view;
  }
  // Of a buffer that one call will read.
  TensorView new_view(BufferKind kind, const Shape& shape) {
    const auto buffer = static_cast<int32_t>(plan_.buffers.size());
    plan_.buffers.push_back({kind, shape, DType::f32});
    constant_.push_back(kNone);
    reads_.push_back(1);
    writer_.push_back(kNone);
    return {virtual_address(buffer), shape, DType::f32};
  }

  InferencePlan plan_;
  std::vector<int32_t> reads_;     // of each buffer, how often
  std::vector<int32_t> writer_;    // of each buffer, the call that writes it last
  std::vector<int32_t> constant_;  // of each constant buffer, its place among the constants
  std::vector<bool> dead_;         // calls that another has taken in
};

}  // namespace

InferencePlan make_plan(const Graph& graph, const PieceRequest& request, const RewriteOptions& options) {
  Rewriter rewriter(lower(graph, request));
  if (options.fold_batch_norms) rewriter.fold_batch_norms();
  if (options.fuse_residuals) rewriter.fuse_residuals();
  if (options.fuse_activations) rewriter.fuse_activations();
  if (options.fuse_squeeze_excite) rewriter.fuse_squeeze_excite();
  InferencePlan plan = rewriter.finish();
  if (request.compute != DType::f32) use_16_bits(plan, request.compute);
  return plan;
}

Piece piece_of(const InferencePlan& plan, std::vector<RecordedCall>& calls) {
  calls.clear();
  for (const PlanCall& call : plan.calls) calls.push_back({call.primitive, call.layer, call.args.bytes});
  return {calls.data(), plan.buffers.data(), static_cast<int32_t>(calls.size()),
          static_cast<int32_t>(plan.buffers.size())};
}

}  // namespace graft::models
