#include "models/graph.h"

#include <catch2/catch.hpp>

#include "core/error.h"
#include "models/builder.h"
#include "models/registry.h"
#include "models/shapes.h"

using namespace graft;
using namespace graft::models;
using Catch::Matchers::Contains;
using Catch::Matchers::Equals;

namespace {

Graph small() {
  Builder g("small");
  NodeId x = g.relu(g.batch_norm("bn", g.conv("conv", g.input(8, 8, 3), 4, 3)));
  g.output(g.linear("fc", g.global_avg_pool(x), 5));
  g.head("fc");
  return g.finish();
}

template <typename Change>
void check_refused(Change change, const char* message) {
  Graph graph = small();
  change(graph);
  CHECK_THROWS_WITH(validate(graph), Contains(message));
}

}  // namespace

TEST_CASE("names are relative to the scope, and unnamed layers are numbered") {
  Builder g("names");
  NodeId x = g.input(4, 4, 2);
  {
    const auto outer = g.scope("layer1");
    const auto inner = g.scope("0");
    x = g.relu(g.relu(g.conv("conv", x, 2, 3)));
  }
  x = g.relu(x);
  g.output(x);
  const Graph graph = g.finish();
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) names.push_back(node.name);
  CHECK_THAT(names,
             Equals(std::vector<std::string>{"input", "layer1.0.conv", "layer1.0.relu", "layer1.0.relu_1", "relu"}));
}

TEST_CASE("shapes follow window, stride, dilation, padding and SAME") {
  Builder g("shapes");
  const NodeId x = g.input(13, 10, 6);
  CHECK(g.shape(g.conv("a", x, 8, 3)) == Shape{1, 13, 10, 8});
  CHECK(g.shape(g.conv("b", x, 8, 5, {.stride = 2, .pad = 0})) == Shape{1, 5, 3, 8});
  CHECK(g.shape(g.conv("c", x, 8, 3, {.dilation = 2})) == Shape{1, 13, 10, 8});
  CHECK(g.shape(g.conv("d", x, 8, 4, {.stride = 3, .same = true})) == Shape{1, 5, 4, 8});
  CHECK(g.shape(g.max_pool("e", x, 3, {.stride = 2, .pad = 1})) == Shape{1, 7, 5, 6});
  CHECK(g.shape(g.adaptive_avg_pool("f", x, {7, 7})) == Shape{1, 7, 7, 6});
  CHECK(g.shape(g.flatten(x)) == Shape{1, 780});
  CHECK(g.shape(g.subsample_pad("h", x, 12, 2, 3)) == Shape{1, 7, 5, 12});
  CHECK(g.shape(g.concat({x, g.conv("i", x, 3, 1)})) == Shape{1, 13, 10, 9});
}

TEST_CASE("SAME padding depends on the size of the input") {
  Conv2d conv;
  conv.in_channels = conv.out_channels = 1;
  conv.window = {3, 3};
  conv.stride = {2, 2};
  conv.same = true;
  CHECK(conv_params(conv, {1, 224, 225, 1}).pad == Padding{0, 1, 1, 1});
}

TEST_CASE("inputs that do not fit are errors with the layer's name") {
  Builder g("wrong");
  const NodeId x = g.input(8, 8, 3), y = g.conv("y", x, 4, 3);
  const auto scope = g.scope("layer1");
  CHECK_THROWS_WITH(g.add(x, y, "sum"), "layer1.sum: add expects two of one shape, got [1, 8, 8, 3] and [1, 8, 8, 4]");
  CHECK_THROWS_WITH(g.conv("c", x, 4, 11, {.pad = 1}),
                    "layer1.c: conv2d has a window of 11x11, larger than the padded input 10x10; give a larger image");
  CHECK_THROWS_WITH(g.conv("c", g.flatten(x), 4, 1), Contains("conv2d expects an image [N, H, W, C], its input is"));
  CHECK_THROWS_WITH(g.append("lonely", Linear{10, 2, true, {}, {}}, {x}), Contains("flatten comes first"));
  CHECK_THROWS_WITH(g.softmax(x), Contains("expects [N, features]"));
  CHECK_THROWS_WITH(g.multiply(x, y), Contains("or a factor [N, 1, 1, C], got"));
  CHECK_THROWS_WITH(g.concat({x, g.conv("s", x, 1, 3, {.stride = 2})}), Contains("one number of pixels"));
  CHECK_THROWS_WITH(g.append("early", Add{}, {x, 99}), "early: there is no node 99 yet");
}

TEST_CASE("sizes that overflow are errors, not numbers") {
  const Graph graph = small();
  CHECK_THROWS_WITH(infer_shapes(graph, int64_t{1} << 40, 1 << 20, 1 << 20), Contains("too large"));
  CHECK_THROWS_WITH(infer_shapes(graph, 1, INT64_MAX, INT64_MAX), Contains("too large"));
  CHECK_THROWS_WITH(infer_shapes(graph, -1), Contains("has no size"));
  CHECK(infer_shapes(graph, 0).back() == Shape{0, 5});
}

TEST_CASE("a graph from outside is checked") {
  CHECK_NOTHROW(validate(small()));
  check_refused([](Graph& g) { g.nodes[2].inputs = {3}; }, "bn: node 2 reads node 3; a graph lists its nodes in order");
  check_refused([](Graph& g) { g.nodes[2].inputs = {-1}; }, "reads node -1");
  check_refused([](Graph& g) { g.nodes[2].inputs = {2}; }, "reads node 2");
  check_refused([](Graph& g) { g.nodes[2].inputs = {1, 1}; }, "batch_norm takes 1 inputs, the graph gives it 2");
  check_refused([](Graph& g) { g.nodes[2].name = "conv"; }, "two layers are named conv");
  check_refused([](Graph& g) { g.nodes[2].name = "../x"; }, "names hold 1 to 200 letters");
  check_refused([](Graph& g) { g.nodes[2].name = ""; }, "names hold 1 to 200 letters");
  check_refused([](Graph& g) { g.nodes[2].op = Input{8, 8, 3}; }, "one input, and it comes first");
  check_refused([](Graph& g) { std::get<BatchNorm>(g.nodes[2].op).channels = 5; }, "bn: batch_norm expects 5 channels");
  check_refused([](Graph& g) { std::get<BatchNorm>(g.nodes[2].op).eps = -1; }, "bn: batch_norm eps -1 cannot be");
  check_refused([](Graph& g) { std::get<Conv2d>(g.nodes[1].op).groups = 2; }, "conv: conv2d groups 2 cannot be");
  check_refused([](Graph& g) { std::get<Conv2d>(g.nodes[1].op).groups = 0; }, "conv: conv2d groups 0 cannot be");
  check_refused([](Graph& g) { std::get<Conv2d>(g.nodes[1].op).stride = {0, 1}; }, "conv: conv2d stride 0x1 cannot be");
  check_refused([](Graph& g) { std::get<Conv2d>(g.nodes[1].op).window = {1 << 30, 1}; }, "conv2d window");
  check_refused([](Graph& g) { std::get<Linear>(g.nodes[6].op).out_features = INT64_MAX; }, "out_features");
  check_refused([](Graph& g) { g.nodes[3].op = Dropout{1.0}; }, "dropout probability 1 cannot be");
  check_refused(
      [](Graph& g) {
        g.nodes[3].op = MaxPool{{2, 2}, {1, 1}, {2, 0, 0, 0}};
      },
      "padding as large as its window");
  check_refused([](Graph& g) { g.outputs.clear(); }, "no output");
  check_refused([](Graph& g) { g.outputs[0].node = 7; }, "output logits is node 7 of 7");
  check_refused([](Graph& g) { g.outputs.push_back(g.outputs[0]); }, "two outputs are named logits");
  check_refused([](Graph& g) { g.head = "bn"; }, "the head bn is no linear layer");
  check_refused([](Graph& g) { g.head = "fcc"; }, "has no layer fcc; did you mean fc?");
  check_refused([](Graph& g) { g.nodes.clear(); }, "1 to 65536 nodes");
}

TEST_CASE("a module's name means its last node") {
  const Graph graph = make_model("resnet18");
  const auto name_at = [&](const char* name) { return graph.node(find_node(graph, name)).name; };
  CHECK(name_at("layer3") == "layer3.1.relu_1");
  CHECK(name_at("layer3.0") == "layer3.0.relu_1");
  CHECK(name_at("layer3.0.downsample") == "layer3.0.downsample.1");
  CHECK(name_at("layer3.0.conv1") == "layer3.0.conv1");
  CHECK_THROWS_WITH(find_node(graph, "layer"), Contains("has no layer layer"));
  CHECK_THROWS_WITH(find_node(graph, "layer3."), Contains("did you mean layer3"));
  CHECK_THROWS_WITH(find_node(graph, "layer5"), Contains("did you mean layer1, layer2 or layer3?"));
}

TEST_CASE("another number of classes") {
  CHECK(classes_of(with_classes(small(), 9)) == 9);
  CHECK_THROWS_WITH(with_classes(small(), 0), Contains("give at least 1"));
  Graph headless = small();
  headless.head.clear();
  CHECK(classes_of(headless) == 0);
  CHECK_THROWS_WITH(with_classes(headless, 3), Contains("no head"));
}

TEST_CASE("who reads a node") {
  Builder g("twice");
  const NodeId x = g.input(2, 2, 1), y = g.relu(x);
  g.output(g.add(y, y));
  const auto consumers = consumers_of(g.finish());
  CHECK(consumers[0] == std::vector<NodeId>{y});
  CHECK(consumers[1] == std::vector<NodeId>{2, 2});
  CHECK(consumers[2].empty());
}
