#include "bench/shapes.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>

#include "bench/operations.h"
#include "core/error.h"
#include "models/registry.h"
#include "models/shapes.h"

namespace graft::bench {

namespace {

constexpr int64_t kMaxLineLength = 4096, kMaxLines = 10'000;

std::string extent(Extent2 e) { return fmt::format("{}x{}", e.h, e.w); }

std::string pad(const Padding& p) { return fmt::format("{},{},{},{}", p.top, p.bottom, p.left, p.right); }

std::string image(const Shape& s) { return fmt::format("n={} h={} w={} c={}", s[0], s[1], s[2], s[3]); }

const char* name_of(Activation activation) {
  constexpr const char* kNames[] = {"none", "relu", "relu6", "silu", "sigmoid"};
  return kNames[static_cast<int>(activation)];
}

// A layer as a line of operations.h; nothing for what is not timed.
std::optional<std::string> line_of(const models::Node& node, const std::vector<Shape>& shapes) {
  const auto input = [&](size_t i) { return shapes[static_cast<size_t>(node.inputs[i])]; };
  if (node.inputs.empty()) return {};
  const Shape x = input(0);
  if (const auto* conv = std::get_if<models::Conv2d>(&node.op)) {
    const Conv2dParams p = models::conv_params(*conv, x);
    const std::string window = fmt::format("window={} stride={} pad={} dilation={}", extent(conv->window),
                                           extent(p.stride), pad(p.pad), extent(p.dilation));
    if (conv->depthwise()) return fmt::format("depthwise_conv2d {} {}", image(x), window);
    return fmt::format("conv2d {} k={} groups={} {}", image(x), conv->out_channels, conv->groups, window);
  }
  if (const auto* pool = std::get_if<models::MaxPool>(&node.op))
    return fmt::format("max_pool {} window={} stride={} pad={}", image(x), extent(pool->window), extent(pool->stride),
                       pad(pool->pad));
  if (const auto* pool = std::get_if<models::AdaptiveAvgPool>(&node.op); pool && pool->output == Extent2{1, 1})
    return "global_avg_pool " + image(x);
  if (const auto* layer = std::get_if<models::Linear>(&node.op))
    return fmt::format("linear n={} in={} out={}", x[0], layer->in_features, layer->out_features);
  if (x.rank != 4) return {};
  if (std::holds_alternative<models::BatchNorm>(node.op)) return "batch_norm " + image(x);
  if (const auto* a = std::get_if<models::Activate>(&node.op))
    return fmt::format("activate {} act={}", image(x), name_of(a->activation));
  if (std::holds_alternative<models::Add>(node.op)) return "add " + image(x);
  if (std::holds_alternative<models::Multiply>(node.op)) {
    const Shape larger = x.numel() > input(1).numel() ? x : input(1);
    return "gate " + image(larger);
  }
  return {};
}

void append(std::vector<KernelCase>& cases, const std::string& line, const std::string& layer, DType dtype) {
  for (KernelCase& c : cases_of(line, dtype)) {
    c.layer = layer;
    cases.push_back(std::move(c));
  }
}

// Layers of a network, by name; empty: all.
void append_layers(std::vector<KernelCase>& cases, const std::string& network, int64_t batch, DType dtype,
                   const std::vector<const char*>& layers) {
  const models::Graph graph = models::make_model(network);
  const std::vector<Shape> shapes = models::infer_shapes(graph, batch);
  std::set<std::string> seen;
  const auto consider = [&](const models::Node& node) {
    const auto line = line_of(node, shapes);
    if (line && seen.insert(*line).second) append(cases, *line, network + " " + node.name, dtype);
  };
  if (layers.empty())
    for (const models::Node& node : graph.nodes) consider(node);
  for (const char* layer : layers) consider(graph.node(models::find_node(graph, layer)));
}

}  // namespace

std::vector<KernelCase> read_shapes(const std::filesystem::path& file, DType dtype) {
  std::ifstream stream(file);
  GRAFT_CHECK(stream, "cannot open {}: {}", file.string(), std::strerror(errno));
  std::vector<KernelCase> cases;
  int64_t number = 0;
  for (std::string line; std::getline(stream, line);) {
    GRAFT_CHECK(++number <= kMaxLines && static_cast<int64_t>(line.size()) <= kMaxLineLength,
                "{}:{}: this is no list of shapes: more than {} lines, or one of more than {} characters",
                file.string(), number, kMaxLines, kMaxLineLength);
    line.resize(std::min(line.find('#'), line.size()));
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    try {
      append(cases, line, "", dtype);
    } catch (const Error& e) {
      fail("{}:{}: {}", file.string(), number, e.what());
    }
  }
  GRAFT_CHECK(!cases.empty(), "{} holds no shapes; a line is, say, conv2d n=16 h=56 w=56 c=64 k=64 window=3 pad=1",
              file.string());
  return cases;
}

std::vector<KernelCase> network_cases(const std::string& network, int64_t batch, DType dtype) {
  std::vector<KernelCase> cases;
  append_layers(cases, network, batch, dtype, {});
  return cases;
}

std::vector<KernelCase> standard_cases(int64_t batch, DType dtype) {
  std::vector<KernelCase> cases;
  append_layers(cases, "resnet50", batch, dtype,
                {"conv1", "bn1", "maxpool", "layer1.0.conv2", "layer1.0.conv3", "layer1.0.add", "layer1.0.relu_2",
                 "layer2.0.conv2", "layer3.1.conv2", "layer4.1.conv1", "avgpool", "fc"});
  append_layers(cases, "vgg16", batch, dtype, {"features.26", "classifier.3"});
  append_layers(cases, "efficientnet_b0", batch, dtype,
                {"features.1.0.block.0.0", "features.2.0.block.1.0", "features.2.1.block.0.0", "features.2.1.block.0.2",
                 "features.2.1.block.2.multiply", "features.5.1.block.1.0"});
  const std::string stage = fmt::format("n={} h=56 w=56 c=64", batch);
  append(cases, "scale " + stage, "", dtype);
  append(cases, "reduce " + stage, "", dtype);
  append(cases, "cast " + stage, "", dtype);
  append(cases, "to_nhwc " + stage, "", dtype);
  append(cases, fmt::format("softmax_cross_entropy n={} classes=1000", batch), "", dtype);
  append(cases, "sgd count=2000000", "", dtype);
  append(cases, "adamw count=2000000", "", dtype);
  return cases;
}

}  // namespace graft::bench
