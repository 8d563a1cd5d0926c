#include "models/rewrite.h"

#include <catch2/catch.hpp>
#include <map>

#include "core/error.h"
#include "models/builder.h"
#include "models/lower.h"
#include "models/registry.h"
#include "tests/models/piece_support.h"

using namespace graft;
using namespace graft::models;
using Catch::Matchers::Contains;

namespace {

using Counts = std::map<std::string, int>;

Counts count(const InferencePlan& plan) {
  Counts counts;
  for (const PlanCall& call : plan.calls) ++counts[name_of(call.primitive)];
  return counts;
}
Counts count(const Graph& graph, std::vector<NodeId> taps = {}) {
  if (taps.empty()) taps.push_back(graph.outputs[0].node);
  PieceRequest request;
  request.taps = std::move(taps);
  return count(make_plan(graph, request));
}
Graph finish(Builder& g, NodeId x) {
  g.output(x);
  return g.finish();
}

}  // namespace

TEST_CASE("whole networks become the primitives that do work, and nothing else") {
  CHECK(count(make_model("resnet18")) ==
        Counts{{"conv2d", 20}, {"max_pool", 1}, {"adaptive_avg_pool", 1}, {"matmul", 1}});
  CHECK(count(make_model("resnet20")) ==
        Counts{{"conv2d", 19}, {"subsample_pad", 2}, {"adaptive_avg_pool", 1}, {"matmul", 1}});
  CHECK(count(make_model("vgg11_bn")) ==
        Counts{{"conv2d", 8}, {"max_pool", 5}, {"adaptive_avg_pool", 1}, {"permute", 1}, {"matmul", 3}});
  CHECK(count(make_model("efficientnet_b0")) ==
        Counts{{"conv2d", 65}, {"depthwise_conv2d", 16}, {"adaptive_avg_pool", 17}, {"multiply", 16}, {"matmul", 1}});
  CHECK(count(make_model("efficientnet_lite0")) ==
        Counts{{"conv2d", 33}, {"depthwise_conv2d", 16}, {"adaptive_avg_pool", 1}, {"matmul", 1}});
}

TEST_CASE("without rewrites every layer is a call, except those that do nothing in inference") {
  const Graph g = make_model("efficientnet_lite0");
  PieceRequest request;
  request.taps = {g.outputs[0].node};
  const auto counts = count(make_plan(g, request, kNoRewrites));
  CHECK(counts == Counts{{"conv2d", 33},
                         {"depthwise_conv2d", 16},
                         {"batch_norm_inference", 49},
                         {"activate", 33},
                         {"add", 9},
                         {"adaptive_avg_pool", 1},
                         {"matmul", 1}});
}

TEST_CASE("what the constants of a folded convolution are made of") {
  Builder g("fold");
  NodeId x = g.conv("conv", g.input(4, 4, 2), 3, 3);
  x = g.batch_norm("second", g.batch_norm("first", x, 1e-3), 1e-4);
  const Graph graph = finish(g, x);
  PieceRequest request;
  request.taps = {x};
  const InferencePlan plan = make_plan(graph, request);
  REQUIRE(plan.constants.size() == 2);
  const PlanConstant &weight = plan.constants[0], &bias = plan.constants[1];
  CHECK(weight.tensor == "conv.weight");
  CHECK(weight.is_weight);
  CHECK(bias.tensor.empty());
  CHECK_FALSE(bias.is_weight);
  for (const PlanConstant& c : plan.constants) {
    REQUIRE(c.folds.size() == 2);
    CHECK(c.folds[0].layer == "first");
    CHECK(c.folds[0].eps == 1e-3);
    CHECK(c.folds[1].layer == "second");
  }
  CHECK(plan.buffers.size() == 4);  // input, output, weight, bias: what nobody uses is gone
  CHECK(plan.layer_names[static_cast<size_t>(plan.calls[0].layer)] == "conv");
}

TEST_CASE("a value that is tapped or read twice is not fused away") {
  Builder g("shared");
  const NodeId conv = g.conv("conv", g.input(5, 5, 2), 2, 3), bn = g.batch_norm("bn", conv), relu = g.relu(bn);
  const NodeId sum = g.add(conv, relu);
  const Graph shared = finish(g, sum);
  // conv is read by bn and add; bn and relu can still become one
  CHECK(count(shared) == Counts{{"conv2d", 1}, {"batch_norm_inference", 1}, {"add", 1}});
  CHECK(count(shared, {relu}) == Counts{{"conv2d", 1}});
  CHECK(count(shared, {conv, relu}) == Counts{{"conv2d", 1}, {"batch_norm_inference", 1}});
  CHECK(count(shared, {bn, relu}) == Counts{{"conv2d", 1}, {"activate", 1}});
}

TEST_CASE("a residual is added before the activation, never after") {
  Builder g("residual");
  const NodeId x = g.input(5, 5, 2);
  const NodeId late = g.add(g.relu(g.conv("a", x, 2, 3)), x), early = g.relu(g.add(g.conv("b", x, 2, 3), x));
  const NodeId twice_of = g.conv("c", x, 2, 3), twice = g.add(twice_of, twice_of);
  const NodeId depthwise = g.add(g.depthwise("d", x, 3), x), linear = g.linear("e", x, 4);
  const NodeId chain = g.add(g.add(g.conv("g", x, 2, 3), x), x);  // a call has room for one residual
  const NodeId lin_sum = g.add(linear, g.linear("f", x, 4));
  const Graph graph = finish(g, late);
  CHECK(count(graph, {late}) == Counts{{"conv2d", 1}, {"add", 1}});
  CHECK(count(graph, {early}) == Counts{{"conv2d", 1}});
  CHECK(count(graph, {twice}) == Counts{{"conv2d", 1}, {"add", 1}});
  CHECK(count(graph, {chain}) == Counts{{"conv2d", 1}, {"add", 1}});
  CHECK(count(graph, {depthwise}) == Counts{{"depthwise_conv2d", 1}, {"add", 1}});
  CHECK(count(graph, {lin_sum}) == Counts{{"permute", 2}, {"matmul", 2}, {"add", 1}});
}

TEST_CASE("of two convolutions the later takes the sum") {
  Builder g("both");
  const NodeId x = g.input(5, 5, 2), a = g.conv("first", x, 2, 3), b = g.conv("second", x, 2, 3);
  const Graph graph = finish(g, g.add(b, a));
  PieceRequest request;
  request.taps = {graph.outputs[0].node};
  InferencePlan plan = make_plan(graph, request);
  REQUIRE(plan.calls.size() == 2);
  CHECK(plan.layer_names[static_cast<size_t>(plan.calls[1].layer)] == "second");
  CHECK(args_of<Conv2dArgs>(plan.calls[1]).residual.data == args_of<Conv2dArgs>(plan.calls[0]).y.data);
}

TEST_CASE("taps may repeat, name an input, or name a layer that vanishes") {
  Builder g("taps");
  const NodeId x = g.input(3, 2, 2), conv = g.conv("conv", x, 2, 3), drop = g.dropout(0.5, conv);
  const NodeId mean = g.global_avg_pool(drop), flat = g.flatten(mean);
  const Graph graph = finish(g, flat);
  PieceRequest request;
  request.taps = {drop, conv, x, flat, mean, flat};
  const auto out = test::run_piece(graph, request);
  CHECK(out[0] == out[1]);
  CHECK(out[2].size() == 12);
  CHECK(out[2][5] == test::hashed(1, 5));
  CHECK(out[3] == out[4]);
  CHECK(out[3] == out[5]);
}

TEST_CASE("a piece may begin in the middle") {
  const Graph g = make_model("resnet18", 4);
  PieceRequest request;
  request.inputs = {find_node(g, "layer4.0.relu_1")};
  request.taps = {find_node(g, "fc")};
  request.height = request.width = 64;
  CHECK(count(make_plan(g, request)) == Counts{{"conv2d", 2}, {"adaptive_avg_pool", 1}, {"matmul", 1}});
  request.taps = {find_node(g, "layer1.0.conv1")};
  CHECK_THROWS_WITH(make_plan(g, request), Contains("need the image, which is not among the inputs given"));
  request.taps = {99999};
  CHECK_THROWS_WITH(make_plan(g, request), Contains("there is no node 99999"));
}
