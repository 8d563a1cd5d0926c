// Whole networks on the CUDA backend whose kernels g++ compiled: the step plan, the compiled trunk, the optimisers. No
// call can go anywhere else: the device is made of these kernels alone.
//
// Each call of each step is repeated by the reference in f64, from its own inputs, and lies within the op table's
// bound. And the training as a whole stays beside the reference's.
#include <catch2/catch.hpp>
#include <cmath>

#include "kernels/cuda/cuda_backend.h"
#include "models/builder.h"
#include "tests/cuda_on_host/control.h"
#include "tests/kernels/cuda/shadow.h"
#include "tests/train/scion_setup.h"

using namespace graft;
using namespace graft::models;
using namespace graft::train;
using graft::test::ScionSetup;
using graft::test::Shadow;

namespace {

std::shared_ptr<Device> cuda_device(Shadow* shadow, DType compute) {
  cuda_on_host::reset();
  Backend backend;
  REQUIRE(cuda::make_backend(0, &backend) == Status::ok);
  test::watch(&backend, shadow);
  auto device = Device::create(backend);
  device->set_compute_type(compute);
  return device;
}

// A stem, a basic block, one with a stride and a projection (He et al. 2015).
Graph residual_network() {
  Builder g("residual");
  NodeId x = g.relu(g.batch_norm("bn1", g.conv("conv1", g.input(32, 32, 3), 8, 3, {.stride = 2})));
  NodeId y = g.relu(g.batch_norm("layer1.bn1", g.conv("layer1.conv1", x, 8, 3)));
  y = g.batch_norm("layer1.bn2", g.conv("layer1.conv2", y, 8, 3));
  x = g.relu(g.add(y, x));
  y = g.relu(g.batch_norm("layer2.bn1", g.conv("layer2.conv1", x, 12, 3, {.stride = 2})));
  y = g.batch_norm("layer2.bn2", g.conv("layer2.conv2", y, 12, 3));
  x = g.relu(g.add(y, g.batch_norm("layer2.bn3", g.conv("layer2.conv3", x, 12, 1, {.stride = 2}))));
  g.output(g.linear("fc", g.flatten(g.global_avg_pool(x)), 5));
  g.head("fc");
  return g.finish();
}

// Convolutions with biases, pooling, two linear layers and dropout (Simonyan & Zisserman 2014).
Graph plain_network() {
  Builder g("plain");
  NodeId x = g.relu(g.conv("features.0", g.input(32, 32, 3), 6, 3, {.stride = 2, .bias = true}));
  x = g.max_pool("pool1", x, 2, {.stride = 2});
  x = g.relu(g.conv("features.1", x, 10, 3, {.bias = true}));
  x = g.max_pool("pool2", x, 3, {.stride = 2, .pad = 1});
  x = g.dropout(0.3, g.relu(g.linear("classifier.0", g.flatten(x), 24)));
  g.output(g.linear("classifier.1", x, 5));
  g.head("classifier.1");
  return g.finish();
}

// An inverted bottleneck with squeeze-and-excite, stochastic depth and silu, then one of 5x5 with a stride (Tan & Le
// 2019).
Graph inverted_network() {
  Builder g("inverted");
  NodeId x = g.activate(Activation::silu, g.batch_norm("bn0", g.conv("stem", g.input(32, 32, 3), 8, 3, {.stride = 2})));
  const auto bottleneck = [&](const std::string& name, NodeId in, int64_t out, int32_t window, int32_t stride) {
    const auto silu = [&](NodeId v) { return g.activate(Activation::silu, v); };
    NodeId y = silu(g.batch_norm(name + ".bn1", g.conv(name + ".expand", in, 16, 1)));
    y = silu(g.batch_norm(name + ".bn2", g.depthwise(name + ".depthwise", y, window, {.stride = stride})));
    NodeId gate = silu(g.conv(name + ".se.fc1", g.global_avg_pool(y, name + ".se.pool"), 4, 1, {.bias = true}));
    gate = g.activate(Activation::sigmoid, g.conv(name + ".se.fc2", gate, 16, 1, {.bias = true}));
    return g.batch_norm(name + ".bn3", g.conv(name + ".project", g.multiply(y, gate), out, 1));
  };
  x = g.add(x, g.stochastic_depth(0.3, bottleneck("block1", x, 8, 3, 1)));
  x = bottleneck("block2", x, 12, 5, 2);
  g.output(g.linear("fc", g.dropout(0.2, g.flatten(g.global_avg_pool(x))), 5));
  g.head("fc");
  return g.finish();
}

struct Case {
  const char* name;
  Graph (*graph)();
  std::vector<std::string> frozen;
  OptimizerKind optimizer;
};
const std::vector<Case> kCases = {
    {"residual, all of it", residual_network, {}, OptimizerKind::sgd},
    {"residual, its trunk frozen", residual_network, {"conv1", "bn1", "layer1.*"}, OptimizerKind::adamw},
    {"plain", plain_network, {}, OptimizerKind::adamw},
    {"inverted bottlenecks", inverted_network, {}, OptimizerKind::sgd},
    {"inverted bottlenecks, the first frozen", inverted_network, {"stem", "bn0", "block1.*"}, OptimizerKind::adamw},
};

TrainConfig config_of(const Case& c) {
  return {.classes = {"a", "b", "c", "d", "e"},
          .batch = 4,
          .optimizer = c.optimizer,
          .weight_decay = 1e-3,
          .clip_norm = 2,
          .ema = 0.9,
          .label_smoothing = 0.1};
}

// What three steps did to a parameter, relative to what they did in the reference.
double distance_of_updates(const ScionSetup& a, const ScionSetup& b) {
  double difference = 0, size = 0;
  for (const TrainedParameter& p : a.trained->entries()) {
    const auto x = a.network.get(p.name), y = b.network.get(p.name), start = b.whole.get(p.name);
    for (size_t i = 0; i < x.size(); ++i) {
      difference += std::pow(double{x[i]} - y[i], 2);
      size += std::pow(double{y[i]} - start[i], 2);
    }
  }
  return std::sqrt(difference / size);
}

void check_training(const Case& c, DType compute, double logits_bound, double update_bound) {
  INFO(c.name << ", " << name_of(compute));
  Shadow shadow;
  {
    ScionSetup cuda(config_of(c), c.frozen, cuda_device(&shadow, compute), c.graph());
    ScionSetup reference(config_of(c), c.frozen, test::reference_device(), c.graph());
    for (int step = 0; step < 3; ++step) {
      const auto a = cuda.step(0.01), b = reference.step(0.01);
      INFO("step " << step);
      CHECK(a.loss == Approx(b.loss).epsilon(logits_bound));
      for (size_t i = 0; i < a.logits.size(); ++i) CHECK(std::abs(a.logits[i] - b.logits[i]) < logits_bound);
    }
    CHECK(distance_of_updates(cuda, reference) < update_bound);
    cuda.rootstock->run(cuda.images.data(), 4);
    reference.rootstock->run(reference.images.data(), 4);
    const auto a = cuda.scion->predict(cuda.labels()), b = reference.scion->predict(reference.labels());
    for (size_t i = 0; i < a.logits.size(); ++i) CHECK(std::abs(a.logits[i] - b.logits[i]) < logits_bound);
  }
  for (const std::string& problem : shadow.problems) FAIL_CHECK(problem);
  CHECK(shadow.calls[Primitive::softmax_cross_entropy] == 4);  // three steps and a prediction
  CHECK(cuda_on_host::take_findings().empty());
}

}  // namespace

TEST_CASE("networks train on the CUDA kernels as on the reference, call by call and as a whole") {
  for (const Case& c : kCases) check_training(c, DType::f32, 1e-4, 1e-3);
}

TEST_CASE("in bf16 each call is exact to one rounding, and training goes the same way") {
  for (const Case& c : kCases) check_training(c, DType::bf16, 0.1, 0.3);
}
