#include "tests/core/gradcheck.h"

#include "tests/support/devices.h"

using namespace graft;
using namespace graft::test;

namespace {

const std::shared_ptr<Device>& device() {
  static const auto d = reference_device();
  return d;
}
Tensor random(const Shape& shape, uint64_t seed, double scale = 1) {
  return random_tensor(device(), shape, seed, DType::f64, scale);
}
Tensor positive(const Shape& shape, uint64_t seed) {
  auto values = distinct_values(shape.numel(), seed);
  for (double& v : values) v = 1 + 0.6 * v;
  return from_values<double>(device(), shape, values);
}

}  // namespace

TEST_CASE("gradients of conv2d") {
  struct Row {
    Shape x, weight;
    Conv2dParams params;
  };
  const std::vector<Row> rows = {
      {{1, 1, 1, 1}, {1, 1, 1, 1}, {}},
      {{2, 5, 4, 3}, {2, 3, 3, 3}, {.pad = {1, 1, 1, 1}}},
      {{1, 7, 5, 2}, {3, 3, 2, 2}, {.stride = {2, 3}, .pad = {0, 1, 1, 0}}},
      {{1, 8, 7, 4}, {4, 3, 3, 2}, {.stride = {1, 2}, .dilation = {2, 1}, .pad = {2, 2, 0, 1}, .groups = 2}},
      {{2, 6, 6, 3}, {6, 2, 2, 1}, {.stride = {2, 2}, .groups = 3}},
      {{0, 4, 4, 2}, {3, 3, 3, 2}, {.pad = {1, 1, 1, 1}}},
  };
  for (const Row& row : rows) {
    INFO(fmt::format("x {} weight {}", row.x, row.weight));
    const std::vector<Tensor> inputs = {random(row.x, 1), random(row.weight, 2), random({row.weight[0]}, 3)};
    gradcheck([&](auto& t) { return ops::conv2d(t[0], t[1], t[2], row.params); }, inputs, {0, 1, 2});
  }
}

TEST_CASE("gradients of depthwise_conv2d") {
  struct Row {
    Shape x, weight;
    Conv2dParams params;
  };
  const std::vector<Row> rows = {
      {{1, 1, 1, 1}, {1, 1, 1}, {}},
      {{2, 5, 4, 3}, {3, 3, 3}, {.pad = {1, 1, 1, 1}}},
      {{1, 7, 9, 2}, {5, 5, 2}, {.stride = {2, 2}, .pad = {2, 1, 1, 2}}},
      {{1, 8, 7, 5}, {3, 2, 5}, {.stride = {1, 2}, .dilation = {2, 3}, .pad = {2, 0, 3, 0}}},
      {{0, 4, 4, 2}, {3, 3, 2}, {.pad = {1, 1, 1, 1}}},
  };
  for (const Row& row : rows) {
    INFO(fmt::format("x {} weight {}", row.x, row.weight));
    const std::vector<Tensor> inputs = {random(row.x, 1), random(row.weight, 2), random({row.x[3]}, 3)};
    gradcheck([&](auto& t) { return ops::depthwise_conv2d(t[0], t[1], t[2], row.params); }, inputs, {0, 1, 2});
  }
}

TEST_CASE("gradients of batch norm") {
  for (const Shape& shape : {Shape{2, 1, 1, 1}, Shape{2, 3, 2, 3}, Shape{5, 7}, Shape{1, 5, 3, 2}}) {
    INFO(fmt::format("x {}", shape));
    const int64_t c = shape.channels();
    gradcheck([&](auto& t) { return ops::batch_norm_training(t[0], t[1], t[2], 1e-2).y; },
              {random(shape, 1), positive({c}, 2), random({c}, 3)}, {0, 1, 2});
    gradcheck([&](auto& t) { return ops::batch_norm_inference(t[0], t[1], t[2], t[3], t[4], 1e-3); },
              {random(shape, 1), positive({c}, 2), random({c}, 3), random({c}, 4), positive({c}, 5)}, {0, 1, 2});
  }
}

TEST_CASE("gradients of activations, add and multiply") {
  for (Activation a : {Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
    INFO("activation " << static_cast<int>(a));
    gradcheck([&](auto& t) { return ops::activate(t[0], a); }, {random({2, 3, 5, 1}, 1, 9)}, {0});
    gradcheck([&](auto& t) { return ops::activate(t[0], a); }, {random({0, 3}, 1)}, {0});
  }
  const Shape shape = {2, 3, 2, 5};
  gradcheck([](auto& t) { return ops::add(t[0], t[1]); }, {random(shape, 1), random(shape, 2)}, {0, 1});
  for (const Shape& s : {shape, Shape{2, 1, 1, 5}, Shape{2, 1, 1, 1}}) {
    INFO(fmt::format("s {}", s));
    gradcheck([](auto& t) { return ops::multiply(t[0], t[1]); }, {random(shape, 1), random(s, 2)}, {0, 1});
  }
  gradcheck([](auto& t) { return ops::multiply(t[0], t[0]); }, {random(shape, 1)}, {0});
}

TEST_CASE("gradients of dropout and stochastic depth, with the mask held still") {
  const Tensor state = from_values<int64_t>(device(), {2}, {7, 0});
  for (double p : {0.0, 0.5}) {
    gradcheck([&](auto& t) { return ops::dropout(t[0], p, {state, 1}); }, {random({3, 7}, 1)}, {0});
    gradcheck([&](auto& t) { return ops::stochastic_depth(t[0], p, {state, 2}); }, {random({5, 2, 2, 3}, 1)}, {0});
  }
}

TEST_CASE("gradients of pooling") {
  const Tensor x = random({2, 7, 5, 3}, 1);
  const PoolParams params[] = {{.window = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1}},
                               {.window = {2, 2}, .stride = {2, 2}},
                               {.window = {3, 2}, .stride = {1, 3}, .pad = {0, 2, 1, 0}},
                               {.window = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1}, .count_include_pad = 0}};
  for (const PoolParams& p : params) {
    gradcheck([&](auto& t) { return ops::max_pool(t[0], p); }, {x}, {0});
    gradcheck([&](auto& t) { return ops::avg_pool(t[0], p); }, {x}, {0});
  }
  for (int64_t size : {1, 2, 3, 9}) gradcheck([&](auto& t) { return ops::adaptive_avg_pool(t[0], size, 2); }, {x}, {0});
}

TEST_CASE("gradients of linear, layouts and reductions") {
  gradcheck([](auto& t) { return ops::linear(t[0], t[1], t[2]); },
            {random({3, 5}, 1), random({4, 5}, 2), random({4}, 3)}, {0, 1, 2});
  gradcheck([](auto& t) { return ops::linear(t[0], t[1], Tensor{}); }, {random({0, 5}, 1), random({4, 5}, 2)}, {0, 1});
  const Tensor x = random({2, 3, 2, 4}, 1);
  gradcheck([](auto& t) { return ops::flatten(t[0]); }, {x}, {0});
  gradcheck([](auto& t) { return ops::flatten(t[0]); }, {random({3, 1, 1, 4}, 1)}, {0});
  gradcheck([](auto& t) { return ops::reshape(t[0], {6, 8}); }, {x}, {0});
  gradcheck([](auto& t) { return ops::subsample_pad(t[0], 2, 3, 9); }, {x}, {0});
  gradcheck([](auto& t) { return ops::concat({t[0], t[1], t[0]}); }, {x, random({2, 3, 2, 1}, 2)}, {0, 1});
  gradcheck([](auto& t) { return ops::concat({t[0], t[1]}, 1); }, {x, random({2, 1, 2, 4}, 2)}, {0, 1});
  for (Reduction r : {Reduction::sum, Reduction::mean})
    for (auto [first, last] : {std::pair{0, 4}, {1, 3}, {3, 4}, {0, 1}, {2, 2}})
      gradcheck([&, first = first, last = last](auto& t) { return ops::reduce(t[0], r, first, last); }, {x}, {0});
}

TEST_CASE("gradients of softmax and cross-entropy") {
  gradcheck([](auto& t) { return ops::softmax(t[0]); }, {random({3, 5}, 1, 4)}, {0});
  const Tensor targets = from_values<int64_t>(device(), {4}, {0, 4, 2, 2});
  const Tensor weights = positive({5}, 9);
  for (double smoothing : {0.0, 0.1, 1.0})
    for (const Tensor& w : {Tensor{}, weights})
      gradcheck([&](auto& t) { return ops::cross_entropy(t[0], targets, w, smoothing); }, {random({4, 5}, 1, 4)}, {0});
}
