#include "models/rewrite.h"

#include <catch2/catch.hpp>
#include <map>

#include "contract/check_args.h"
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
  CHECK(count(make_model("efficientnet_b0")) == Counts{{"conv2d", 33},
                                                       {"depthwise_conv2d", 16},
                                                       {"squeeze_excite", 16},
                                                       {"adaptive_avg_pool", 1},
                                                       {"multiply", 16},
                                                       {"matmul", 1}});
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

TEST_CASE("squeeze-and-excite as one call takes two calls from each block of EfficientNet-B0") {
  const Graph g = make_model("efficientnet_b0");
  PieceRequest request;
  request.taps = {g.outputs[0].node};
  const InferencePlan fused = make_plan(g, request);
  const InferencePlan plain = make_plan(g, request, {.fuse_squeeze_excite = false});
  CHECK(plain.calls.size() == fused.calls.size() + 16 * 2);
  CHECK(count(plain) ==
        Counts{{"conv2d", 65}, {"depthwise_conv2d", 16}, {"adaptive_avg_pool", 17}, {"multiply", 16}, {"matmul", 1}});
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

namespace {

// depthwise → batch norm → silu → squeeze-and-excite, with the steps that tests want to see or to change.
struct GatedBlock {
  Builder g{"gated"};
  NodeId image = g.input(5, 4, 6);
  NodeId x = g.activate(Activation::silu, g.batch_norm("bn", g.depthwise("dw", image, 3)));
  NodeId mean = -1, first = -1, hidden = -1, second = -1, gate = -1, y = -1;

  GatedBlock() { excite(); }
  void excite(const std::string& name = "", const ConvOptions& options = {.bias = true}, int64_t units = 3) {
    mean = g.global_avg_pool(x, name + "mean");
    first = g.conv(name + "fc1", mean, units, 1, {.bias = true});
    hidden = g.activate(Activation::silu, first, name + "hidden");
    second = g.conv(name + "fc2", hidden, 6, 1, options);
    gate = g.activate(Activation::sigmoid, second, name + "gate");
    y = g.multiply(x, gate, name + "mul");
  }
  // Rewritten, with the values that `taps` name given out, and equal to the unfused plan.
  Counts check(std::vector<NodeId> taps) const {
    taps.insert(taps.begin(), y);
    Builder copy = g;
    const Graph graph = finish(copy, y);
    const PieceRequest request{.taps = taps, .batch = 3};
    const auto fused = test::run_piece(graph, request), plain = test::run_piece(graph, request, kNoRewrites);
    for (size_t i = 0; i < plain.size(); ++i) CHECK(test::relative_error(fused[i], plain[i]) < 1e-6);
    return count(make_plan(graph, request));
  }
};

}  // namespace

TEST_CASE("squeeze-and-excite becomes one call on the sums of the depthwise convolution before it") {
  const Counts whole = {{"depthwise_conv2d", 1}, {"squeeze_excite", 1}, {"multiply", 1}};
  const GatedBlock block;
  CHECK(block.check({}) == whole);
  CHECK(block.check({block.gate, block.x}) == whole);

  Counts with_mean = whole;
  with_mean["adaptive_avg_pool"] = 1;
  CHECK(block.check({block.mean}) == with_mean);

  GatedBlock twice;  // of the same x: the sums are made once
  const NodeId before = twice.y;
  twice.excite("again_");
  CHECK(twice.check({before}) == Counts{{"depthwise_conv2d", 1}, {"squeeze_excite", 2}, {"multiply", 2}});

  GatedBlock dense;  // no sums there: the mean stays
  dense.x = dense.g.relu(dense.g.conv("dense", dense.y, 6, 3));
  dense.excite("dense_");
  CHECK(
      dense.check({}) ==
      Counts{{"depthwise_conv2d", 1}, {"conv2d", 1}, {"adaptive_avg_pool", 1}, {"squeeze_excite", 2}, {"multiply", 2}});
}

TEST_CASE("what only looks like squeeze-and-excite stays as it is") {
  const Counts layers = {{"depthwise_conv2d", 1}, {"adaptive_avg_pool", 1}, {"conv2d", 2}, {"multiply", 1}};
  const GatedBlock block;
  CHECK(block.check({block.hidden}) == layers);
  GatedBlock other;  // the gate of another tensor
  other.y = other.g.multiply(other.image, other.gate, "other");
  CHECK(other.check({}) == layers);

  GatedBlock beside;  // its tap is on the padding above the pixel
  beside.excite("beside_", {.stride = 3, .pad = 1, .bias = true});
  CHECK(beside.check({}) == layers);

  GatedBlock grouped;
  grouped.excite("grouped_", {.groups = 3, .bias = true});
  CHECK(grouped.check({}) == layers);

  GatedBlock wide;
  wide.excite("wide_", {.bias = true}, SqueezeExciteArgs::kMaxUnits + 1);
  CHECK(wide.check({}) == layers);
}

TEST_CASE("in 16 bits every call has the types that it is defined for") {
  const auto check_types = [](const Graph& graph, std::vector<NodeId> taps, DType type) {
    const PieceRequest request{.taps = std::move(taps), .compute = type};
    const InferencePlan plan = make_plan(graph, request);
    for (const PlanCall& call : plan.calls) {
      INFO(name_of(call.primitive) << " of " << plan.layer_names[static_cast<size_t>(call.layer)]);
      CHECK(check_args(call.primitive, call.args.bytes) == Status::ok);
      if (call.primitive == Primitive::squeeze_excite) {
        CHECK(call.views()[0].dtype == DType::f32);
        CHECK(call.views()[1].dtype == type);
      }
      for (int v = 0; v < info_of(call.primitive).roles.total(); ++v)
        if (const TensorView& view = call.views()[v]; view.present())
          CHECK(view.dtype == plan.buffers[static_cast<size_t>(buffer_of(view.data))].dtype);
    }
    return count(plan);
  };
  for (const DType type : {DType::bf16, DType::f16}) {
    const Graph b0 = make_model("efficientnet_b0");
    CHECK(check_types(b0, {b0.outputs[0].node}, type)["cast"] == 1);  // of the image; sums and logits are f32
    GatedBlock block;
    block.x = block.g.relu(block.g.conv("dense", block.y, 6, 3));
    block.excite("dense_");
    const Graph graph = finish(block.g, block.y);
    CHECK(check_types(graph, {block.y}, type)["cast"] == 3);              // of the image, of a mean, of y
    CHECK(check_types(graph, {block.y, block.mean}, type)["cast"] == 4);  // and of the mean as it is given out
  }
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
