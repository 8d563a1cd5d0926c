// What makes a graph one that the rest of the code may trust. Attributes have limits so that no product of them
// overflows and no window takes for ever; names have a character set that is safe in files, patterns and messages.
#include <cmath>
#include <unordered_set>

#include "core/error.h"
#include "models/graph.h"
#include "models/shapes.h"

namespace graft::models {

namespace {

constexpr int32_t kMaxWindow = 1 << 12;
constexpr int64_t kMaxChannels = 1 << 24;
constexpr size_t kMaxName = 200;

struct CheckAttributes {
  const Node& node;

  void check(bool condition, const char* what, auto value) const {
    if (!condition) fail("{}: {} {} {} cannot be", node.name, kind_of(node.op), what, value);
  }
  void window(const char* what, Extent2 e) const {
    check(e.h >= 1 && e.h <= kMaxWindow && e.w >= 1 && e.w <= kMaxWindow, what, fmt::format("{}x{}", e.h, e.w));
  }
  void padding(const Padding& p) const {
    for (int32_t side : {p.top, p.bottom, p.left, p.right}) check(side >= 0 && side <= kMaxWindow, "padding", side);
  }
  void channels(const char* what, int64_t n) const { check(n >= 1 && n <= kMaxChannels, what, n); }
  void initializer(const Initializer& init) const {
    check(init.kind <= Initializer::Kind::uniform, "initializer", static_cast<int>(init.kind));
    check(std::isfinite(init.scale) && init.scale >= 0, "initializer scale", init.scale);
  }
  void probability(double p) const { check(p >= 0 && p < 1, "probability", p); }
  // Every window of a pool holds a real pixel.
  void pool_padding(Extent2 w, const Padding& p) const {
    padding(p);
    check(p.top < w.h && p.bottom < w.h && p.left < w.w && p.right < w.w,
          "padding as large as its window:", fmt::format("{}, {}, {}, {}", p.top, p.bottom, p.left, p.right));
  }

  void operator()(const Input& op) const {
    channels("height", op.height);
    channels("width", op.width);
    channels("channels", op.channels);
  }
  void operator()(const Conv2d& op) const {
    channels("in_channels", op.in_channels);
    channels("out_channels", op.out_channels);
    window("window", op.window);
    window("stride", op.stride);
    window("dilation", op.dilation);
    padding(op.pad);
    check(op.groups >= 1 && op.in_channels % op.groups == 0 && op.out_channels % op.groups == 0, "groups", op.groups);
    initializer(op.weight_init);
    initializer(op.bias_init);
    const int64_t group_channels = op.in_channels / op.groups;
    const double elements =
        static_cast<double>(op.out_channels) * static_cast<double>(group_channels) * op.window.h * op.window.w;
    check(elements <= static_cast<double>(kMaxElements), "number of weights", elements);
  }
  void operator()(const BatchNorm& op) const {
    channels("channels", op.channels);
    check(std::isfinite(op.eps) && op.eps >= 0, "eps", op.eps);
    check(op.momentum >= 0 && op.momentum <= 1, "momentum", op.momentum);
  }
  void operator()(const Activate& op) const {
    check(op.activation >= Activation::none && op.activation <= Activation::sigmoid, "activation",
          static_cast<int>(op.activation));
  }
  void operator()(const MaxPool& op) const {
    window("window", op.window);
    window("stride", op.stride);
    pool_padding(op.window, op.pad);
  }
  void operator()(const AvgPool& op) const {
    window("window", op.window);
    window("stride", op.stride);
    pool_padding(op.window, op.pad);
  }
  void operator()(const AdaptiveAvgPool& op) const { window("output", op.output); }
  void operator()(const Linear& op) const {
    check(op.in_features >= 1 && op.in_features <= kMaxElements, "in_features", op.in_features);
    check(op.out_features >= 1 && op.out_features <= kMaxElements / op.in_features, "out_features", op.out_features);
    initializer(op.weight_init);
    initializer(op.bias_init);
  }
  void operator()(const SubsamplePad& op) const {
    channels("out_channels", op.out_channels);
    window("stride", {op.stride, op.stride});
    check(op.before >= 0 && op.before <= op.out_channels, "channels in front", op.before);
  }
  void operator()(const Dropout& op) const { probability(op.probability); }
  void operator()(const StochasticDepth& op) const { probability(op.probability); }
  void operator()(const auto&) const {}  // no attributes
};

void check_name(const std::string& name, const char* what) {
  bool good = !name.empty() && name.size() <= kMaxName && name.front() != '.' && name.back() != '.';
  for (char c : name)
    good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                    c == '-' || c == '.');
  if (good) return;
  std::string shown;
  for (char c : name.substr(0, 40)) shown += c >= ' ' && c <= '~' ? c : '?';
  fail("the graph has a {} named \"{}\"; names hold 1 to {} letters, digits, _, - and .", what, shown, kMaxName);
}

void check_inputs(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const bool is_input = std::holds_alternative<Input>(node.op), is_concat = std::holds_alternative<Concat>(node.op);
  const bool is_binary = std::holds_alternative<Add>(node.op) || std::holds_alternative<Multiply>(node.op);
  GRAFT_CHECK(is_input == (id == 0), "{}: a graph has one input, and it comes first", node.name);
  const size_t least = is_input ? 0 : is_concat || is_binary ? 2 : 1;
  GRAFT_CHECK(node.inputs.size() == least || (is_concat && node.inputs.size() > least),
              "{}: {} takes {} inputs{}, the graph gives it {}", node.name, kind_of(node.op), least,
              is_concat ? " or more" : "", node.inputs.size());
  for (NodeId input : node.inputs)
    GRAFT_CHECK(input >= 0 && input < id,
                "{}: node {} reads node {}; a graph lists its nodes in order, so that each reads earlier ones only",
                node.name, id, input);
}

}  // namespace

void validate(const Graph& graph) {
  check_name(graph.name, "title");
  GRAFT_CHECK(!graph.nodes.empty() && graph.nodes.size() <= static_cast<size_t>(kMaxNodes),
              "{}: a graph has 1 to {} nodes, this one {}", graph.name, kMaxNodes, graph.nodes.size());
  std::unordered_set<std::string> names;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    check_name(node.name, "layer");
    GRAFT_CHECK(names.insert(node.name).second, "{}: two layers are named {}", graph.name, node.name);
    check_inputs(graph, id);
    std::visit(CheckAttributes{node}, node.op);
  }

  GRAFT_CHECK(!graph.outputs.empty(), "{}: the graph has no output", graph.name);
  names.clear();
  for (const Output& output : graph.outputs) {
    check_name(output.name, "output");
    GRAFT_CHECK(names.insert(output.name).second, "{}: two outputs are named {}", graph.name, output.name);
    GRAFT_CHECK(output.node >= 0 && output.node < graph.size(), "{}: output {} is node {} of {}", graph.name,
                output.name, output.node, graph.size());
  }
  if (!graph.head.empty())
    GRAFT_CHECK(std::holds_alternative<Linear>(graph.node(find_node(graph, graph.head)).op),
                "{}: the head {} is no linear layer", graph.name, graph.head);
  infer_shapes(graph, 1);
}

}  // namespace graft::models
