#include "models/lower.h"

#include <cstring>

#include "core/error.h"
#include "models/shapes.h"

namespace graft::models {

namespace {

class Lowering {
 public:
  Lowering(const Graph& graph, const PieceRequest& request)
      : graph_(graph),
        request_(request),
        shapes_(infer_shapes(graph, request.batch, request.height, request.width)),
        value_(graph.nodes.size(), kNone) {
    for (const Node& node : graph.nodes) plan_.layer_names.push_back(node.name);
  }

  InferencePlan run() {
    std::vector<NodeId> inputs = request_.inputs;
    if (inputs.empty()) inputs.push_back(0);
    for (NodeId id : inputs) {
      check_id(id);
      GRAFT_CHECK(value(id) == kNone, "{}: {} is given twice", graph_.name, graph_.node(id).name);
      value(id) = add_buffer(BufferKind::input, shape(id));
      plan_.inputs.push_back(value(id));
    }
    const std::vector<bool> needed = needed_nodes();
    for (id_ = 0; id_ < graph_.size(); ++id_)
      if (needed[static_cast<size_t>(id_)]) std::visit(*this, graph_.node(id_).op);
    for (NodeId tap : request_.taps) give_out(tap);
    return std::move(plan_);
  }

  void operator()(const Input&) {
    fail("{}: the layers asked for need the image, which is not among the inputs given", graph_.name);
  }
  void operator()(const Conv2d& op) {
    const Shape& x = input_shape();
    if (op.depthwise()) {
      DepthwiseConv2dArgs a;
      a.x = input(), a.weight = parameter(".weight"), a.y = output();
      if (op.bias) a.bias = parameter(".bias");
      a.conv = conv_params(op, x);
      call(a);
    } else {
      Conv2dArgs a;
      a.x = input(), a.weight = parameter(".weight"), a.y = output();
      if (op.bias) a.bias = parameter(".bias");
      a.conv = conv_params(op, x);
      call(a);
    }
  }
  void operator()(const BatchNorm& op) {
    BatchNormInferenceArgs a;
    a.x = input(), a.weight = parameter(".weight"), a.bias = parameter(".bias");
    a.mean = parameter(".running_mean"), a.var = parameter(".running_var");
    a.y = output();
    a.eps = op.eps;
    call(a);
  }
  void operator()(const Activate& op) {
    if (op.activation == Activation::none) return pass_through();
    ActivateArgs a;
    a.x = input(), a.y = output();
    a.activation = op.activation;
    call(a);
  }
  void operator()(const Add&) {
    AddArgs a;
    a.a = input(0), a.b = input(1), a.y = output();
    call(a);
  }
  void operator()(const Multiply&) {
    const Shape& x = input_shape();
    const bool by_channel = input_shape(1) != x;
    MultiplyArgs a;
    a.x = input(0), a.s = input(1), a.y = output();
    a.outer = by_channel ? x[0] : x.rows();
    a.repeat = by_channel ? x[1] * x[2] : 1;
    a.inner = x.channels();
    call(a);
  }
  void operator()(const MaxPool& op) {
    MaxPoolArgs a;
    a.x = input(), a.y = output();
    a.pool = {op.window, op.stride, op.pad, 1};
    call(a);
  }
  void operator()(const AvgPool& op) {
    AvgPoolArgs a;
    a.x = input(), a.y = output();
    a.pool = {op.window, op.stride, op.pad, op.count_include_pad};
    call(a);
  }
  void operator()(const AdaptiveAvgPool&) {
    AdaptiveAvgPoolArgs a;
    a.x = input(), a.y = output();
    call(a);
  }
  void operator()(const Linear& op) {
    MatmulArgs a;
    a.a = input(), a.b = parameter(".weight"), a.y = output();
    if (op.bias) a.bias = parameter(".bias");
    a.transpose_b = 1;
    call(a);
  }
  // One pixel, or one channel: both orders are the same.
  void operator()(const Flatten&) {
    const Shape& x = input_shape();
    if (x[1] * x[2] == 1 || x[3] == 1) return pass_through();
    PermuteArgs a;
    a.x = input(), a.y = output();
    a.y.shape = {x[0], x[3], x[1], x[2]};
    constexpr int32_t kToChannelsFirst[] = {0, 3, 1, 2};
    std::memcpy(a.order, kToChannelsFirst, sizeof(kToChannelsFirst));
    call(a);
  }
  void operator()(const SubsamplePad& op) {
    SubsamplePadArgs a;
    a.x = input(), a.y = output();
    a.stride = op.stride, a.before = op.before;
    call(a);
  }
  void operator()(const Dropout&) { pass_through(); }
  void operator()(const StochasticDepth&) { pass_through(); }
  void operator()(const Softmax&) {
    SoftmaxArgs a;
    a.x = input(), a.y = output();
    call(a);
  }
  void operator()(const Concat&) {
    const TensorView y = output();
    CopySliceArgs a;
    a.outer = y.shape.rows(), a.y_row = y.shape.channels();
    for (size_t i = 0; i < node().inputs.size(); ++i) {
      a.x = input(i), a.y = y;
      a.x_row = a.count = a.x.shape.channels();
      call(a);
      a.y_begin += a.count;
    }
  }

 private:
  static constexpr int32_t kNone = -1;

  void check_id(NodeId id) const {
    GRAFT_CHECK(id >= 0 && id < graph_.size(), "{} has {} nodes, there is no node {}", graph_.name, graph_.size(), id);
  }
  // Everything between the taps and the values given.
  std::vector<bool> needed_nodes() const {
    std::vector<bool> needed(graph_.nodes.size());
    for (NodeId tap : request_.taps) {
      check_id(tap);
      needed[static_cast<size_t>(tap)] = true;
    }
    for (NodeId id = graph_.size() - 1; id >= 0; --id) {
      const auto at = static_cast<size_t>(id);
      if (value_[at] != kNone) needed[at] = false;
      if (needed[at])
        for (NodeId input : graph_.node(id).inputs) needed[static_cast<size_t>(input)] = true;
    }
    return needed;
  }

  // A temporary becomes the output itself; what is given, or given out already, is copied.
  void give_out(NodeId tap) {
    PieceBuffer& buffer = plan_.buffers[static_cast<size_t>(value(tap))];
    if (buffer.kind == BufferKind::temporary) {
      buffer.kind = BufferKind::output;
      buffer.shape = shape(tap);
      plan_.outputs.push_back(value(tap));
      return;
    }
    ScaleArgs a;
    a.x = view(value(tap), shape(tap));
    a.y = view(add_buffer(BufferKind::output, shape(tap)), shape(tap));
    id_ = tap;
    call(a);
    plan_.outputs.push_back(buffer_of(a.y.data));
  }

  const Node& node() const { return graph_.node(id_); }
  const Shape& shape(NodeId id) const { return shapes_[static_cast<size_t>(id)]; }
  const Shape& input_shape(size_t i = 0) const { return shape(node().inputs[i]); }
  int32_t& value(NodeId id) { return value_[static_cast<size_t>(id)]; }

  int32_t add_buffer(BufferKind kind, const Shape& shape) {
    GRAFT_CHECK(plan_.buffers.size() < static_cast<size_t>(kMaxBuffers), "{}: too many layers to compile", graph_.name);
    plan_.buffers.push_back({kind, shape, DType::f32});
    return static_cast<int32_t>(plan_.buffers.size()) - 1;
  }
  static TensorView view(int32_t buffer, const Shape& shape) { return {virtual_address(buffer), shape, DType::f32}; }

  TensorView input(size_t i = 0) { return view(value(node().inputs[i]), input_shape(i)); }
  TensorView output() {
    value(id_) = add_buffer(BufferKind::temporary, shape(id_));
    return view(value(id_), shape(id_));
  }
  TensorView parameter(const char* suffix) {
    const std::string name = node().name + suffix;
    for (const Parameter& p : parameters_of(graph_, id_)) {
      if (p.name != name) continue;
      const int32_t buffer = add_buffer(BufferKind::constant, p.memory_shape());
      plan_.constants.push_back({buffer, name, p.axes != Axes::channels, {}});
      return view(buffer, p.memory_shape());
    }
    GRAFT_ASSERT(!"the node has that parameter");
    return {};
  }
  void pass_through() { value(id_) = value(node().inputs[0]); }

  template <typename Args>
  void call(const Args& args) {
    PlanCall call{primitive_of<Args>, id_, {}};
    std::memcpy(call.args.bytes, &args, sizeof(args));
    plan_.calls.push_back(call);
  }

  const Graph& graph_;
  const PieceRequest& request_;
  std::vector<Shape> shapes_;
  std::vector<int32_t> value_;  // the buffer that holds each node's output
  InferencePlan plan_;
  NodeId id_ = 0;  // the node being written down
};

}  // namespace

InferencePlan lower(const Graph& graph, const PieceRequest& request) { return Lowering(graph, request).run(); }

}  // namespace graft::models
