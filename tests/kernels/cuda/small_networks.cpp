#include "tests/kernels/cuda/small_networks.h"

#include "models/builder.h"

namespace graft::test {

using namespace graft::models;
using namespace graft::train;

namespace {

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

}  // namespace

const std::vector<SmallNetwork>& small_networks() {
  static const std::vector<SmallNetwork> networks = {
      {"residual, all of it", residual_network, {}, OptimizerKind::sgd},
      {"residual, its trunk frozen", residual_network, {"conv1", "bn1", "layer1.*"}, OptimizerKind::adamw},
      {"plain", plain_network, {}, OptimizerKind::adamw},
      {"inverted bottlenecks", inverted_network, {}, OptimizerKind::sgd},
      {"inverted bottlenecks in micro-batches", inverted_network, {}, OptimizerKind::sgd, 3},
      {"inverted bottlenecks, the first frozen", inverted_network, {"stem", "bn0", "block1.*"}, OptimizerKind::adamw},
  };
  return networks;
}

TrainConfig config_of(const SmallNetwork& c) {
  return {.classes = {"a", "b", "c", "d", "e"},
          .batch = 4,
          .micro_batch = c.micro_batch,
          .optimizer = c.optimizer,
          .weight_decay = 1e-3,
          .clip_norm = 2,
          .ema = 0.9,
          .label_smoothing = 0.1};
}

}  // namespace graft::test
