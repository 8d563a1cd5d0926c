#include "kernels/cuda/convolution_graph.h"

namespace graft::cuda {

namespace {

using Axes = std::array<int64_t, 4>;

// Dense memory [A, B, C, D], seen in the order A, D, B, C: an image NHWC as N, C, H, W, a filter KRSC as K, C, R, S.
Axes channels_second(const Shape& s) { return {s[0], s[3], s[1], s[2]}; }
Axes strides_of(const Shape& s) { return {s[1] * s[2] * s[3], 1, s[2] * s[3], s[3]}; }

class Builder {
 public:
  Builder(const Conv2dParams& p, F32Math math)
      : math_(math),
        graph_{.window = {.pad_before = {p.pad.top, p.pad.left},
                          .pad_after = {p.pad.bottom, p.pad.right},
                          .stride = {p.stride.h, p.stride.w},
                          .dilation = {p.dilation.h, p.dilation.w}}} {}

  // The view at place `index` of the arguments. Returns its id.
  int64_t tensor(const TensorView& view, int index) {
    usable_ &= is_float(view.dtype) && view.dtype != DType::f64 && view.numel() > 0;
    return add(
        {.id = index + 1, .type = view.dtype, .dims = channels_second(view.shape), .strides = strides_of(view.shape)});
  }
  // One number a channel.
  int64_t vector(const TensorView& view, int index) {
    const Shape image{1, 1, 1, view.numel()};
    return add({.id = index + 1, .type = view.dtype, .dims = channels_second(image), .strides = strides_of(image)});
  }
  // What an operation hands to the next, of y's shape.
  int64_t between(const TensorView& y) {
    return add({.id = kFirstVirtual + graph_.operation_count,
                .type = graph_.compute,
                .is_virtual = true,
                .dims = channels_second(y.shape),
                .strides = strides_of(y.shape)});
  }
  int64_t operation(GraphOperator kind, int64_t a, int64_t b, int64_t output) {
    graph_.operations[graph_.operation_count++] = {.kind = kind, .inputs = {a, b}, .output = output};
    return output;
  }
  std::optional<ConvolutionGraph> graph() {
    graph_.rounds_to_tf32 = math_ == F32Math::tf32 && graph_.tensors[0].type == DType::f32;
    return usable_ ? std::optional(graph_) : std::nullopt;
  }

 private:
  static constexpr int64_t kFirstVirtual = 100;

  int64_t add(const GraphTensor& t) {
    graph_.tensors[graph_.tensor_count++] = t;
    return t.id;
  }

  F32Math math_;
  ConvolutionGraph graph_;
  bool usable_ = true;
};

GraphOperator operator_of(Activation activation) {
  switch (activation) {
    case Activation::relu6:
      return GraphOperator::relu6;
    case Activation::silu:
      return GraphOperator::silu;
    case Activation::sigmoid:
      return GraphOperator::sigmoid;
    default:
      return GraphOperator::relu;
  }
}

}  // namespace

std::optional<ConvolutionGraph> graph_of(const Conv2dArgs& c, F32Math math) {
  Builder b(c.conv, math);
  const int64_t x = b.tensor(c.x, 0), weight = b.tensor(c.weight, 1);
  const int64_t bias = c.bias.present() ? b.vector(c.bias, 2) : 0;
  const int64_t residual = c.residual.present() ? b.tensor(c.residual, 3) : 0;
  const int64_t y = b.tensor(c.y, 4);
  const bool activates = c.activation != Activation::none;

  // The residual before the bias: what cuDNN has ready-made kernels for.
  const auto result = [&](bool is_last) { return is_last ? y : b.between(c.y); };
  int64_t sum = b.operation(GraphOperator::convolution, x, weight, result(bias == 0 && residual == 0 && !activates));
  if (residual != 0) sum = b.operation(GraphOperator::add, sum, residual, result(bias == 0 && !activates));
  if (bias != 0) sum = b.operation(GraphOperator::add, sum, bias, result(!activates));
  if (activates) b.operation(operator_of(c.activation), sum, 0, y);
  return b.graph();
}

std::optional<ConvolutionGraph> graph_of(const Conv2dBackwardDataArgs& c, F32Math math) {
  Builder b(c.conv, math);
  const int64_t dy = b.tensor(c.dy, 0), weight = b.tensor(c.weight, 1), dx = b.tensor(c.dx, 2);
  b.operation(GraphOperator::backward_data, dy, weight, dx);
  return b.graph();
}

std::optional<ConvolutionGraph> graph_of(const Conv2dBackwardWeightArgs& c, F32Math math) {
  Builder b(c.conv, math);
  const int64_t x = b.tensor(c.x, 0), dy = b.tensor(c.dy, 1), dweight = b.tensor(c.dweight, 2);
  b.operation(GraphOperator::backward_weight, x, dy, dweight);
  return b.graph();
}

}  // namespace graft::cuda
