#include "models/freeze.h"

#include <catch2/catch.hpp>

#include "core/error.h"
#include "models/builder.h"
#include "models/registry.h"

using namespace graft;
using namespace graft::models;
using Catch::Matchers::Contains;

namespace {

size_t at(const Graph& graph, const char* name) { return static_cast<size_t>(find_node(graph, name)); }

std::vector<std::string> tap_names(const Graph& graph, const FreezePlan& plan) {
  std::vector<std::string> names;
  for (NodeId id : plan.taps) names.push_back(graph.node(id).name);
  return names;
}
using Names = std::vector<std::string>;

std::vector<std::string> trainable_names(const Graph& graph, const FreezePlan& plan) {
  std::vector<std::string> names;
  const auto parameters = parameters_of(graph);
  for (size_t i = 0; i < parameters.size(); ++i)
    if (plan.trainable[i]) names.push_back(parameters[i].name);
  return names;
}

}  // namespace

TEST_CASE("shell patterns") {
  CHECK(matches("*", ""));
  CHECK(matches("layer1.*", "layer1.0.conv1"));
  CHECK(matches("*.bn?", "layer1.0.bn2"));
  CHECK(matches("layer[1-3]", "layer2"));
  CHECK_FALSE(matches("layer[1-3]", "layer4"));
  CHECK(matches("a[xy]*c", "aybbc"));
  CHECK(matches("*a*b*", "xxaxxbxx"));
  CHECK_FALSE(matches("layer1", "layer10"));
  CHECK_FALSE(matches("", "x"));
  CHECK(matches("a[", "a["));
  const std::string stars = "*a*a*a*a*a*a*a*a*a*a*a*b", as(180, 'a');
  CHECK_FALSE(matches(stars, as));  // at once, not in 2^180 steps
}

TEST_CASE("training the head alone leaves the trunk below the line") {
  const Graph g = make_model("resnet18", 5);
  const FreezePlan plan = plan_freeze(g, {.freeze = {}, .train = {"fc"}});
  CHECK(trainable_names(g, plan) == Names{"fc.weight", "fc.bias"});
  CHECK(tap_names(g, plan) == Names{"flatten"});  // the mean is taken below: [N, 512] is what gets cached
  CHECK(plan.frozen[at(g, "layer4.1.bn2")]);
  CHECK_FALSE(plan.frozen[at(g, "fc")]);
  CHECK_FALSE(plan.below[at(g, "fc")]);
}

TEST_CASE("freezing stages by their module") {
  const Graph g = make_model("resnet18");
  const FreezePlan plan = plan_freeze(g, {.freeze = {"conv1", "bn1", "layer[1-3]"}, .train = {}});
  CHECK(tap_names(g, plan) == Names{"layer3.1.relu_1"});
  CHECK(plan.below[at(g, "layer3.1.add")]);
  CHECK_FALSE(plan.below[at(g, "layer4.0.conv1")]);
  CHECK_FALSE(plan.below[at(g, "layer4.0.downsample.0")]);
}

TEST_CASE("a frozen layer above the line passes gradients and makes none") {
  const Graph g = make_model("resnet18");
  const FreezePlan plan = plan_freeze(g, {.freeze = {"layer2", "*.bn1"}, .train = {}});
  CHECK(plan.frozen[at(g, "layer2.0.conv1")]);
  CHECK_FALSE(plan.below[at(g, "layer2.0.conv1")]);
  CHECK(plan.frozen[at(g, "layer4.0.bn1")]);
  CHECK_FALSE(plan.frozen[at(g, "layer4.0.bn2")]);
  CHECK(tap_names(g, plan) == Names{"input"});  // conv1 trains: only the image is below
}

TEST_CASE("a layer is frozen when all its parameters are") {
  const Graph g = make_model("vgg11");
  const FreezePlan plan = plan_freeze(g, {.freeze = {"features.0.weight", "features.3.*"}, .train = {}});
  CHECK_FALSE(plan.frozen[at(g, "features.0")]);  // its bias trains
  CHECK(plan.frozen[at(g, "features.3")]);
  CHECK_FALSE(plan.below[at(g, "features.3")]);
}

TEST_CASE("everything trains, or nothing does") {
  const Graph g = make_model("efficientnet_b0");
  const FreezePlan all = plan_freeze(g, {}), none = plan_freeze(g, {.freeze = {"*"}, .train = {}});
  CHECK(tap_names(g, all) == Names{"input"});
  CHECK_FALSE(all.frozen[at(g, "classifier.0")]);
  CHECK_FALSE(all.frozen[at(g, "features.2.1.stochastic_depth")]);
  CHECK(tap_names(g, none) == Names{"classifier.1"});
  CHECK(none.frozen[at(g, "classifier.0")]);
  CHECK(none.frozen[at(g, "features.2.1.stochastic_depth")]);
  CHECK(trainable_names(g, none).empty());
}

TEST_CASE("the dropout before a trainable head is above the line and active") {
  for (const char* name : {"efficientnet_b0", "efficientnet_lite0"}) {
    const Graph g = make_model(name);
    const FreezePlan plan = plan_freeze(g, {.freeze = {}, .train = {g.head}});
    const size_t dropout = at(g, g.head == "_fc" ? "_dropout" : "classifier.0");
    CHECK_FALSE(plan.frozen[dropout]);
    CHECK_FALSE(plan.below[dropout]);
    CHECK(tap_names(g, plan) == Names{"flatten"});
  }
}

TEST_CASE("of two dropouts in one module each goes with the layer it feeds") {
  const Graph g = make_model("vgg11");
  const FreezePlan plan = plan_freeze(g, {.freeze = {}, .train = {"classifier.6"}});
  CHECK(plan.frozen[at(g, "classifier.2")]);
  CHECK(plan.below[at(g, "classifier.2")]);
  CHECK_FALSE(plan.frozen[at(g, "classifier.5")]);
  CHECK(tap_names(g, plan) == Names{"classifier.4"});
}

TEST_CASE("stochastic depth is off in a frozen block, whatever comes next") {
  const Graph g = make_model("efficientnet_b0");
  const FreezePlan plan = plan_freeze(g, {.freeze = {"features.[0-2]"}, .train = {}});
  CHECK(plan.frozen[at(g, "features.2.1.stochastic_depth")]);
  CHECK_FALSE(plan.frozen[at(g, "features.3.1.stochastic_depth")]);
  CHECK(tap_names(g, plan) == Names{"features.2.1.add"});
}

TEST_CASE("values that cross the line may be several") {
  Builder b("fork");
  const NodeId x = b.conv("trunk", b.input(8, 8, 3), 4, 3), y = b.relu(x);
  b.output(b.add(b.conv("left", x, 4, 3), b.conv("right", y, 4, 3)));
  const Graph g = b.finish();
  CHECK(tap_names(g, plan_freeze(g, {.freeze = {"trunk"}, .train = {}})) == Names{"trunk", "relu"});
}

TEST_CASE("a pattern that matches nothing is an error that knows near names") {
  const Graph g = make_model("resnet18");
  CHECK_THROWS_WITH(plan_freeze(g, {.freeze = {"layer5.*"}, .train = {}}),
                    Contains("no layer of resnet18 matches the pattern layer5.*; did you mean layer1"));
  CHECK_THROWS_WITH(plan_freeze(g, {.freeze = {}, .train = {"bn1.running_mean"}}), Contains("no layer of resnet18"));
  CHECK_THROWS_WITH(plan_freeze(g, {.freeze = {"conv1"}, .train = {"fc"}}), Contains("not both"));
}
