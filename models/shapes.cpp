#include "models/shapes.h"

#include <algorithm>

#include "core/error.h"

namespace graft::models {

namespace {

// One node's rule for each operation. Errors name the layer.
struct OutputShape {
  const Node& node;
  std::span<const Shape> in;

  template <typename... Args>
  void check(bool condition, fmt::format_string<Args...> format, Args&&... args) const {
    if (!condition) fail("{}: {} {}", node.name, kind_of(node.op), fmt::format(format, std::forward<Args>(args)...));
  }

  const Shape& image(size_t i = 0) const {
    check(in[i].rank == 4, "expects an image [N, H, W, C], its input is {}", in[i]);
    return in[i];
  }
  const Shape& matrix() const {
    check(in[0].rank == 2, "expects [N, features], its input is {}; flatten comes first", in[0]);
    return in[0];
  }
  void check_channels(int64_t expected) const {
    check(in[0].rank >= 2 && in[0].channels() == expected, "expects {} channels, its input is {}", expected, in[0]);
  }

  Shape windows(const Shape& x, Extent2 window, Extent2 stride, Extent2 dilation, const Padding& pad,
                int64_t channels) const {
    const int64_t h = output_extent(x[1], pad.top, pad.bottom, window.h, dilation.h, stride.h);
    const int64_t w = output_extent(x[2], pad.left, pad.right, window.w, dilation.w, stride.w);
    check(h > 0 && w > 0, "has a window of {}x{}, larger than the padded input {}x{}; give a larger image",
          int64_t{dilation.h} * (window.h - 1) + 1, int64_t{dilation.w} * (window.w - 1) + 1,
          x[1] + pad.top + pad.bottom, x[2] + pad.left + pad.right);
    return {x[0], h, w, channels};
  }

  Shape operator()(const Input& op) const { return {1, op.height, op.width, op.channels}; }
  Shape operator()(const Conv2d& op) const {
    check_channels(op.in_channels);
    const Conv2dParams p = conv_params(op, image());
    return windows(image(), op.window, p.stride, p.dilation, p.pad, op.out_channels);
  }
  Shape operator()(const BatchNorm& op) const {
    check_channels(op.channels);
    return in[0];
  }
  Shape operator()(const Activate&) const { return in[0]; }
  Shape operator()(const Add&) const {
    check(in[0] == in[1], "expects two of one shape, got {} and {}", in[0], in[1]);
    return in[0];
  }
  Shape operator()(const Multiply&) const {
    const Shape& x = in[0];
    check(in[1] == x || (x.rank == 4 && in[1] == Shape{x[0], 1, 1, x[3]}),
          "expects two of one shape or a factor [N, 1, 1, C], got {} and {}", x, in[1]);
    return x;
  }
  Shape operator()(const MaxPool& op) const {
    return windows(image(), op.window, op.stride, {1, 1}, op.pad, image().channels());
  }
  Shape operator()(const AvgPool& op) const {
    return windows(image(), op.window, op.stride, {1, 1}, op.pad, image().channels());
  }
  Shape operator()(const AdaptiveAvgPool& op) const {
    check(image()[1] > 0 && image()[2] > 0, "expects pixels, its input is {}", in[0]);
    return {in[0][0], op.output.h, op.output.w, in[0][3]};
  }
  Shape operator()(const Linear& op) const {
    check(matrix()[1] == op.in_features, "expects {} features, its input is {}", op.in_features, in[0]);
    return {in[0][0], op.out_features};
  }
  Shape operator()(const Flatten&) const {
    int64_t features = 0;
    check(!__builtin_mul_overflow(image()[1] * image()[2], in[0][3], &features), "overflows on {}", in[0]);
    return {in[0][0], features};
  }
  Shape operator()(const SubsamplePad& op) const {
    check(op.before <= op.out_channels - image()[3], "cannot place {} channels after {} others in {}", in[0][3],
          op.before, op.out_channels);
    return {in[0][0], (in[0][1] + op.stride - 1) / op.stride, (in[0][2] + op.stride - 1) / op.stride, op.out_channels};
  }
  Shape operator()(const Dropout&) const { return in[0]; }
  Shape operator()(const StochasticDepth&) const { return in[0]; }
  Shape operator()(const Softmax&) const { return matrix(); }
  Shape operator()(const Concat&) const {
    Shape y = image();
    for (size_t i = 1; i < in.size(); ++i) {
      const Shape& x = image(i);
      check(x[0] == y[0] && x[1] == y[1] && x[2] == y[2], "expects one number of pixels, got {} and {}", in[0], x);
      y[3] += x[3];
    }
    return y;
  }
};

// Every extent and the product stay within kMaxElements, so that no later arithmetic on them overflows.
void check_size(const Node& node, const Shape& shape) {
  int64_t elements = 1;
  for (int axis = 0; axis < shape.rank; ++axis) {
    const bool overflow = __builtin_mul_overflow(elements, std::max<int64_t>(shape[axis], 1), &elements);
    GRAFT_CHECK(shape[axis] >= 0 && !overflow && elements <= kMaxElements,
                "{}: an output of {} is too large; give a smaller batch or image", node.name, shape);
  }
}

}  // namespace

Conv2dParams conv_params(const Conv2d& conv, const Shape& input) {
  Conv2dParams p{conv.stride, conv.dilation, conv.pad, conv.groups};
  if (conv.same) {
    const auto h = same_padding(input[1], conv.window.h, conv.dilation.h, conv.stride.h);
    const auto w = same_padding(input[2], conv.window.w, conv.dilation.w, conv.stride.w);
    p.pad = {h.before, h.after, w.before, w.after};
  }
  return p;
}

Shape output_shape(const Node& node, std::span<const Shape> inputs) {
  const Shape shape = std::visit(OutputShape{node, inputs}, node.op);
  check_size(node, shape);
  return shape;
}

std::vector<Shape> infer_shapes(const Graph& graph, int64_t batch, int64_t height, int64_t width) {
  GRAFT_CHECK(batch >= 0 && height >= 0 && width >= 0, "{}: a batch of {} images of {}x{} has no size", graph.name,
              batch, height, width);
  std::vector<Shape> shapes, inputs;
  shapes.reserve(graph.nodes.size());
  for (const Node& node : graph.nodes) {
    inputs.clear();
    for (NodeId id : node.inputs) inputs.push_back(shapes[static_cast<size_t>(id)]);
    if (const auto* input = std::get_if<Input>(&node.op)) {
      shapes.push_back({batch, height ? height : input->height, width ? width : input->width, input->channels});
      check_size(node, shapes.back());
    } else {
      shapes.push_back(output_shape(node, inputs));
    }
  }
  return shapes;
}

}  // namespace graft::models
