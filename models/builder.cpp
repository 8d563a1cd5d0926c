#include "models/builder.h"

#include <utility>

#include "core/error.h"
#include "models/shapes.h"

namespace graft::models {

Builder::Builder(std::string graph_name, InitRules init) : init_(init) { graph_.name = std::move(graph_name); }

Builder::Scope::Scope(Builder& builder, std::string_view name) : builder_(builder), length_(builder.scope_.size()) {
  builder.scope_.append(name).push_back('.');
}
Builder::Scope::~Scope() { builder_.scope_.resize(length_); }

NodeId Builder::append(std::string full_name, Op op, std::vector<NodeId> inputs) {
  std::vector<Shape> shapes;
  for (NodeId id : inputs) {
    GRAFT_CHECK(id >= 0 && id < graph_.size(), "{}: there is no node {} yet", full_name, id);
    shapes.push_back(shape(id));
  }
  Node node{std::move(full_name), op, std::move(inputs)};
  shapes_.push_back(output_shape(node, shapes));
  ++uses_[node.name];
  graph_.nodes.push_back(std::move(node));
  return graph_.size() - 1;
}

// An empty name becomes the kind, numbered from its second use on.
NodeId Builder::named(std::string_view name, Op op, std::vector<NodeId> inputs) {
  std::string full = scope_ + std::string(name.empty() ? kind_of(op) : name);
  if (name.empty() && uses_.contains(full)) {
    const std::string base = full;
    for (int n = 1; uses_.contains(full); ++n) full = fmt::format("{}_{}", base, n);
  }
  return append(std::move(full), op, std::move(inputs));
}

NodeId Builder::input(int64_t height, int64_t width, int64_t channels) {
  return named("input", Input{height, width, channels}, {});
}

NodeId Builder::conv(std::string_view name, NodeId x, int64_t out_channels, int32_t window, const ConvOptions& o) {
  Conv2d op;
  op.in_channels = channels(x);
  op.out_channels = out_channels;
  op.window = {window, window};
  op.stride = {o.stride, o.stride};
  op.dilation = {o.dilation, o.dilation};
  op.same = o.same;
  op.groups = o.groups;
  op.bias = o.bias;
  const int32_t pad = o.same ? 0 : o.pad.value_or((window - 1) / 2 * o.dilation);
  op.pad = {pad, pad, pad, pad};
  const int64_t pixels = int64_t{window} * window;
  const Fan fan{op.in_channels / o.groups * pixels, out_channels * pixels, o.groups};
  op.weight_init = init_.conv(fan);
  if (o.bias) op.bias_init = init_.conv_bias(fan);
  return named(name, op, {x});
}

NodeId Builder::depthwise(std::string_view name, NodeId x, int32_t window, ConvOptions options) {
  options.groups = static_cast<int32_t>(channels(x));
  return conv(name, x, channels(x), window, options);
}

NodeId Builder::batch_norm(std::string_view name, NodeId x, double eps, double momentum) {
  return named(name, BatchNorm{channels(x), eps, momentum}, {x});
}

NodeId Builder::activate(Activation activation, NodeId x, std::string_view name) {
  return named(name, Activate{activation}, {x});
}
NodeId Builder::add(NodeId a, NodeId b, std::string_view name) { return named(name, Add{}, {a, b}); }
NodeId Builder::multiply(NodeId a, NodeId b, std::string_view name) { return named(name, Multiply{}, {a, b}); }

NodeId Builder::max_pool(std::string_view name, NodeId x, int32_t window, const PoolOptions& o) {
  return named(name, MaxPool{{window, window}, {o.stride, o.stride}, {o.pad, o.pad, o.pad, o.pad}}, {x});
}
NodeId Builder::avg_pool(std::string_view name, NodeId x, int32_t window, const PoolOptions& o) {
  const Padding pad{o.pad, o.pad, o.pad, o.pad};
  return named(name, AvgPool{{window, window}, {o.stride, o.stride}, pad, o.count_include_pad}, {x});
}
NodeId Builder::adaptive_avg_pool(std::string_view name, NodeId x, Extent2 output) {
  return named(name, AdaptiveAvgPool{output}, {x});
}

// An image is flattened first, as torch.flatten(x, 1) before a network's head.
NodeId Builder::linear(std::string_view name, NodeId x, int64_t out_features, bool bias) {
  if (shape(x).rank == 4) x = flatten(x);
  Linear op;
  op.in_features = channels(x);
  op.out_features = out_features;
  op.bias = bias;
  const Fan fan{op.in_features, out_features, 1};
  op.weight_init = init_.linear(fan);
  if (bias) op.bias_init = init_.linear_bias(fan);
  return named(name, op, {x});
}

NodeId Builder::flatten(NodeId x, std::string_view name) { return named(name, Flatten{}, {x}); }
NodeId Builder::subsample_pad(std::string_view name, NodeId x, int64_t out_channels, int32_t stride, int32_t before) {
  return named(name, SubsamplePad{out_channels, stride, before}, {x});
}
NodeId Builder::dropout(double probability, NodeId x, std::string_view name) {
  return named(name, Dropout{probability}, {x});
}
NodeId Builder::stochastic_depth(double probability, NodeId x, std::string_view name) {
  return named(name, StochasticDepth{probability}, {x});
}
NodeId Builder::softmax(NodeId x, std::string_view name) { return named(name, Softmax{}, {x}); }
NodeId Builder::concat(std::vector<NodeId> inputs, std::string_view name) {
  return named(name, Concat{}, std::move(inputs));
}

void Builder::output(NodeId x, std::string name) { graph_.outputs.push_back({std::move(name), x}); }
void Builder::head(std::string_view layer) { graph_.head = layer; }

Graph Builder::finish() {
  validate(graph_);
  shapes_.clear();
  uses_.clear();
  return std::exchange(graph_, {});
}

}  // namespace graft::models
