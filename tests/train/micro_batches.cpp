// A step in parts: the step of the whole batch, in less memory.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include "tests/support/devices.h"
#include "tests/train/scion_setup.h"

using namespace graft;
using namespace graft::train;

using Setup = test::ScionSetup;

namespace {

TrainConfig config_of(int64_t batch, int64_t micro_batch) {
  return {.classes = {"a", "b", "c"},
          .batch = batch,
          .micro_batch = micro_batch,
          .optimizer = OptimizerKind::sgd,
          .momentum = 0,
          .weight_decay = 0,
          .label_smoothing = 0.1};
}

// Images do not see one another, nor chance.
models::Graph plain_graph() {
  models::Builder g("plain");
  auto x = g.relu(g.conv("conv1", g.input(16, 16, 3), 8, 3, {.stride = 2, .bias = true}));
  x = g.relu(g.conv("conv2", x, 8, 3, {.bias = true}));
  g.output(g.linear("fc", g.flatten(g.global_avg_pool(x)), 3));
  g.head("fc");
  return g.finish();
}

// Half of each image's features are dropped; the head tells which.
models::Graph dropping_graph() {
  models::Builder g("dropping");
  const auto x = g.dropout(0.5, g.flatten(g.global_avg_pool(g.conv("conv", g.input(8, 8, 3), 64, 3))));
  g.output(g.linear("fc", x, 3));
  g.head("fc");
  return g.finish();
}

std::vector<float> gradients_of(const Setup& s) { return s.trained->gradients().to_vector<float>(); }

}  // namespace

TEST_CASE("the gradients of micro-batches add up to the batch's") {
  for (const auto& make_device : {+[] { return test::reference_device(); }, +[] { return test::cpu_device(); }})
    for (const std::vector<std::string>& frozen : {std::vector<std::string>{}, {"conv1"}}) {
      Setup whole(config_of(6, 0), frozen, make_device(), plain_graph());
      const auto expected = whole.step();
      const auto gradients = gradients_of(whole);
      const auto largest = [](float m, float g) { return std::max(m, std::abs(g)); };
      const float scale = std::accumulate(gradients.begin(), gradients.end(), 0.0f, largest);
      REQUIRE(scale > 0.01f);
      for (const int64_t micro : {1, 2, 4, 6}) {  // 4: the last part has two
        INFO(whole.device->name() << ", parts of " << micro);
        Setup parts(config_of(6, micro), frozen, make_device(), plain_graph());
        const auto result = parts.step();
        CHECK(result.loss == Approx(expected.loss).epsilon(1e-5));
        REQUIRE(result.logits.size() == expected.logits.size());
        for (size_t i = 0; i < result.logits.size(); ++i)
          CHECK(result.logits[i] == Approx(expected.logits[i]).epsilon(1e-5).margin(1e-5));
        const auto sum = gradients_of(parts);
        float off = 0;
        for (size_t i = 0; i < sum.size(); ++i) off = std::max(off, std::abs(sum[i] - gradients[i]));
        CHECK(off < 1e-5f * scale);
        if (micro == 6) CHECK(sum == gradients);  // the same calls
        CHECK(parts.state->step.item() == 1);
      }
    }
}

TEST_CASE("parts use the same memory one after the other") {
  const auto arena = [](int64_t micro) {
    Setup s(config_of(8, micro));
    return s.scion->statistics(8).arena_bytes;
  };
  CHECK(arena(2) < arena(0) / 2);
  CHECK(arena(8) == arena(0));
  Setup whole(config_of(8, 0)), parts(config_of(8, 2));
  whole.scion->statistics(8), parts.scion->statistics(8);
  CHECK(parts.scion->gradient_bytes() == 2 * whole.scion->gradient_bytes());
}

TEST_CASE("each part draws masks of its own") {
  Setup s(config_of(2, 1), {}, test::reference_device(), dropping_graph());
  std::copy_n(s.images.begin(), s.images.size() / 2, s.images.begin() + std::ssize(s.images) / 2);  // the same twice
  const auto logits = s.step().logits;
  CHECK(std::vector(logits.begin(), logits.begin() + 3) != std::vector(logits.begin() + 3, logits.end()));
}

TEST_CASE("running statistics follow part after part") {
  Setup parts(config_of(6, 3)), steps(config_of(3, 0));
  parts.step(0);
  const size_t half = parts.images.size() / 2;
  for (const size_t first : {size_t{0}, half}) {
    std::copy_n(parts.images.begin() + static_cast<std::ptrdiff_t>(first), half, steps.images.begin());
    steps.step(0);  // moves nothing else
  }
  for (const char* name : {"bn1.running_mean", "bn1.running_var", "bn2.running_mean", "bn2.running_var"})
    CHECK(parts.network.get(name) == steps.network.get(name));
}

TEST_CASE("a part that is not finite stops the whole step") {
  for (const size_t image : {0, 5}) {
    Setup s(config_of(6, 2));
    const auto weight = s.network.get("conv1.weight"), mean = s.network.get("bn1.running_mean");
    s.images[image * 16 * 16 * 3] = std::numeric_limits<float>::quiet_NaN();
    s.step();
    CHECK(s.state->flag.item() == 1);
    CHECK(s.state->step.item() == 0);
    CHECK(s.network.get("conv1.weight") == weight);
    CHECK(s.network.get("bn1.running_mean") == mean);
  }
}
