// Every network of the registry against what its published implementation says (make_expected.py).
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "models/builder.h"
#include "models/registry.h"
#include "models/shapes.h"
#include "models/summary.h"

using namespace graft;
using namespace graft::models;

namespace {

struct Expected {
  const char* name;
  size_t tensors;
  int64_t parameters, multiply_adds;
  int32_t resize, crop;
  bool bicubic;
  uint64_t hash;
};
constexpr Expected kExpected[] = {
#include "expected_models.inc"
};

int64_t billionths(double x) { return std::llround(x * 1e9); }

uint64_t fnv1a(const std::vector<std::string>& lines) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const std::string& line : lines)
    for (char c : line + "\n") hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

// As make_expected.py writes them.
std::vector<std::string> lines_of(const Graph& graph) {
  std::vector<std::string> lines;
  for (const Parameter& p : parameters_of(graph))
    lines.push_back(
        fmt::format("tensor {} {}", p.name, fmt::join(p.shape.extents, p.shape.extents + p.shape.rank, "x")));
  for (const Node& node : graph.nodes) {
    if (const auto* bn = std::get_if<BatchNorm>(&node.op))
      lines.push_back(fmt::format("batch_norm {} {} {}", node.name, billionths(bn->eps), billionths(bn->momentum)));
    if (const auto* dropout = std::get_if<Dropout>(&node.op))
      lines.push_back(fmt::format("dropout {} {}", node.name, billionths(dropout->probability)));
    const auto* depth = std::get_if<StochasticDepth>(&node.op);
    if (depth && graph.name.starts_with("efficientnet_b"))
      lines.push_back(fmt::format("dropout {} {}", node.name, billionths(depth->probability)));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

const Parameter& parameter(const std::vector<Parameter>& all, const std::string& name) {
  for (const Parameter& p : all)
    if (p.name == name) return p;
  throw std::runtime_error("no parameter " + name);
}

}  // namespace

TEST_CASE("every network has the tensors, the cost and the preprocessing of its published implementation") {
  REQUIRE(std::size(kExpected) == all_models().size());
  for (const Expected& e : kExpected) {
    CAPTURE(e.name);
    const Model& model = find_model(e.name);
    const Graph graph = make_model(e.name);
    const Summary summary = summarize(graph);
    CHECK(parameters_of(graph).size() == e.tensors);
    CHECK(summary.parameters == e.parameters);
    CHECK(summary.multiply_adds == e.multiply_adds);
    CHECK(fmt::format("{:016x}", fnv1a(lines_of(graph))) == fmt::format("{:016x}", e.hash));
    CHECK(model.preprocessing.resize == e.resize);
    CHECK(model.preprocessing.crop == e.crop);
    CHECK(graph.input() == Input{e.crop, e.crop, 3});
    CHECK((model.preprocessing.interpolation == io::Interpolation::bicubic) == e.bicubic);
    CHECK(classes_of(graph) == model.classes);
  }
}

TEST_CASE("the number of classes changes the head and nothing else") {
  for (const Model& model : all_models()) {
    CAPTURE(model.name);
    const auto published = parameters_of(make_model(model.name)), five = parameters_of(make_model(model.name, 5));
    const Graph graph = make_model(model.name, 5);
    CHECK(classes_of(graph) == 5);
    CHECK(infer_shapes(graph, 2).at(static_cast<size_t>(graph.outputs[0].node)) == Shape{2, 5});
    REQUIRE(published.size() == five.size());
    for (size_t i = 0; i < five.size(); ++i) {
      CHECK(published[i].name == five[i].name);
      if (graph.node(five[i].node).name != graph.head) CHECK(published[i].shape == five[i].shape);
    }
  }
}

TEST_CASE("networks that end in a mean take other image sizes") {
  CHECK(infer_shapes(make_model("resnet18"), 3, 64, 64).back() == Shape{3, 1000});
  CHECK(infer_shapes(make_model("efficientnet_lite0"), 1, 65, 97).back() == Shape{1, 1000});
  CHECK(infer_shapes(make_model("vgg11_bn"), 2, 64, 32).back() == Shape{2, 1000});
  CHECK_THROWS_WITH(infer_shapes(make_model("vgg16"), 1, 16, 16),
                    "features.30: max_pool has a window of 2x2, larger than the padded input 1x1; give a larger image");
}

// std and bounds as torch.nn.init computes them for the layers torchvision, akamaster and TensorFlow initialise.
TEST_CASE("weights begin as in the published implementation") {
  using Kind = Initializer::Kind;
  const auto init = [](const std::vector<Parameter>& all, const std::string& name) {
    return parameter(all, name).init;
  };
  const auto resnet = parameters_of(make_model("resnext50_32x4d"));
  CHECK(init(resnet, "layer1.0.conv2.weight") == Initializer{Kind::normal, std::sqrt(2.0 / (128 * 9))});
  CHECK(init(resnet, "fc.weight") == Initializer{Kind::uniform, 1 / std::sqrt(2048.0)});
  CHECK(init(resnet, "fc.bias") == Initializer{Kind::uniform, 1 / std::sqrt(2048.0)});
  CHECK(init(resnet, "bn1.weight").kind == Kind::ones);
  CHECK(init(resnet, "bn1.bias").kind == Kind::zeros);
  CHECK(init(resnet, "bn1.running_var").kind == Kind::ones);

  const auto cifar = parameters_of(make_model("resnet20"));
  CHECK(init(cifar, "layer2.0.conv1.weight") == Initializer{Kind::normal, std::sqrt(2.0 / (16 * 9))});
  CHECK(init(cifar, "linear.weight") == Initializer{Kind::normal, std::sqrt(2.0 / 64)});
  CHECK(init(cifar, "linear.bias") == Initializer{Kind::uniform, 1 / std::sqrt(64.0)});

  const auto vgg = parameters_of(make_model("vgg11"));
  CHECK(init(vgg, "features.0.bias").kind == Kind::zeros);
  CHECK(init(vgg, "classifier.0.weight") == Initializer{Kind::normal, 0.01});
  CHECK(init(vgg, "classifier.0.bias").kind == Kind::zeros);

  const auto b0 = parameters_of(make_model("efficientnet_b0", 10));
  CHECK(init(b0, "features.1.0.block.0.0.weight") == Initializer{Kind::normal, std::sqrt(2.0 / (32 * 9))});
  CHECK(init(b0, "classifier.1.weight") == Initializer{Kind::uniform, 1 / std::sqrt(10.0)});
  const auto lite = parameters_of(make_model("efficientnet_lite0"));
  CHECK(init(lite, "_blocks.0._depthwise_conv.weight") == Initializer{Kind::normal, std::sqrt(2.0 / 9)});
}

TEST_CASE("axes of a parameter in files and in memory") {
  const auto all = parameters_of(make_model("efficientnet_lite0"));
  const auto& stem = parameter(all, "_conv_stem.weight");
  CHECK(stem.shape == Shape{32, 3, 3, 3});
  CHECK(stem.memory_shape() == Shape{32, 3, 3, 3});
  CHECK(stem.axes == Axes::oihw);
  const auto& depthwise = parameter(all, "_blocks.3._depthwise_conv.weight");
  CHECK(depthwise.shape == Shape{144, 1, 5, 5});
  CHECK(depthwise.memory_shape() == Shape{5, 5, 144});
  const auto& expand = parameter(all, "_blocks.1._expand_conv.weight");
  CHECK(expand.shape == Shape{96, 16, 1, 1});
  CHECK(expand.memory_shape() == Shape{96, 1, 1, 16});
  const auto& fc = parameter(all, "_fc.weight");
  CHECK(fc.axes == Axes::out_in);
  CHECK(fc.memory_shape() == Shape{1000, 1280});
  CHECK(parameter(all, "_bn0.running_mean").is_buffer);
  CHECK_FALSE(parameter(all, "_bn0.weight").is_buffer);
}

TEST_CASE("an unknown network is an error that knows near names") {
  CHECK_THROWS_WITH(make_model("resnet5"), "there is no network resnet5; did you mean resnet50, resnet56 or resnet18?");
  CHECK_THROWS_WITH(make_model("alexnet-huge"), "there is no network alexnet-huge; `graft models` lists them");
  CHECK_THROWS_WITH(make_model("resnet18", -1), "resnet18: -1 classes; give at least 1");
}

TEST_CASE("a network without chance is the same network") {
  const Graph with = make_model("efficientnet_b0"), without = without_chance(with);
  REQUIRE(with.size() == without.size());
  int stochastic = 0;
  for (NodeId id = 0; id < without.size(); ++id) {
    const Op& op = without.node(id).op;
    stochastic += is_stochastic(op);
    if (const auto* d = std::get_if<Dropout>(&op)) CHECK(d->probability == 0);
    if (const auto* d = std::get_if<StochasticDepth>(&op)) CHECK(d->probability == 0);
    if (!is_stochastic(op)) CHECK(with.node(id) == without.node(id));
  }
  CHECK(stochastic == 10);
}
