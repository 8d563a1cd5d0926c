#include "train/scion.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/support/devices.h"
#include "tests/support/random_tensor.h"
#include "tests/train/scion_setup.h"
#include "train/initialise.h"

using namespace graft;
using namespace graft::train;

using Setup = test::ScionSetup;

namespace {

TrainConfig config_with(OptimizerKind kind) {
  return {.classes = {"a", "b", "c"}, .batch = 6, .optimizer = kind, .weight_decay = 1e-3};
}

}  // namespace

TEST_CASE("steps lower the loss, with either optimiser") {
  for (OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adamw}) {
    Setup s(config_with(kind));
    const double first = s.step(0.02).loss;
    double last = first;
    for (int i = 0; i < 40; ++i) last = s.step(0.02).loss;
    CHECK(last < first * 0.7);
    CHECK(s.state->step.item() == 41);
  }
}

TEST_CASE("frozen means frozen: neither weights nor running statistics move") {
  Setup s(config_with(OptimizerKind::sgd), {"conv2", "bn2"});
  const auto before_weight = s.network.get("conv2.weight"), before_mean = s.network.get("bn2.running_mean"),
             before_first = s.network.get("conv1.weight"), before_first_mean = s.network.get("bn1.running_mean");
  for (int i = 0; i < 3; ++i) s.step();
  CHECK(s.network.get("conv2.weight") == before_weight);
  CHECK(s.network.get("bn2.running_mean") == before_mean);
  CHECK(s.network.get("conv1.weight") != before_first);
  CHECK(s.network.get("bn1.running_mean") != before_first_mean);
}

TEST_CASE("below the line a compiled rootstock gives what the whole network would") {
  Setup frozen(config_with(OptimizerKind::sgd), {"conv*", "bn*"}), whole(config_with(OptimizerKind::sgd));
  REQUIRE(frozen.rootstock->report());
  REQUIRE_FALSE(whole.rootstock->report());
  frozen.rootstock->run(frozen.images.data(), 6);
  whole.rootstock->run(whole.images.data(), 6);
  const auto a = frozen.scion->predict(frozen.labels()), b = whole.scion->predict(whole.labels());
  CHECK(a.loss == Approx(b.loss).epsilon(1e-5));
  for (size_t i = 0; i < a.logits.size(); ++i) CHECK(a.logits[i] == Approx(b.logits[i]).epsilon(1e-4).margin(1e-5));
}

TEST_CASE("prediction runs on the weights and statistics that training has reached") {
  const std::vector<std::string> but_the_head = {"conv*", "bn*"}, first = {"conv1", "bn1"};
  for (const auto& freeze : {but_the_head, first}) {
    Setup s(config_with(OptimizerKind::adamw), freeze);
    for (int step = 0; step < 3; ++step) {
      s.step();
      s.rootstock->run(s.images.data(), 6);
      const auto predicted = s.scion->predict({0, 1, 2, 0});  // fewer than a batch
      const auto walked = s.network.walk({.given = s.rootstock->values(4), .wanted = {s.graph.outputs[0].node}});
      const auto logits = walked.values[0].to_vector<float>();
      REQUIRE(predicted.logits.size() == logits.size());
      for (size_t i = 0; i < logits.size(); ++i)
        CHECK(predicted.logits[i] == Approx(logits[i]).epsilon(1e-5).margin(1e-5));
    }
  }
}

TEST_CASE("a step that is not finite moves nothing") {
  Setup s(config_with(OptimizerKind::adamw));
  s.step();
  std::vector<std::vector<float>> before;
  for (const auto& e : s.network.entries()) before.push_back(s.network.get(e.info.name));
  const auto random = s.state->random_state.to_vector<int64_t>();
  s.images[5] = std::numeric_limits<float>::quiet_NaN();
  s.step();
  CHECK(s.state->flag.item() == 1);
  CHECK(s.state->step.item() == 1);
  CHECK(s.state->random_state.to_vector<int64_t>() == random);
  size_t i = 0;
  for (const auto& e : s.network.entries()) {
    INFO(e.info.name);
    CHECK(s.network.get(e.info.name) == before[i++]);
  }
}

namespace {

std::vector<std::vector<float>> trained_values(const Setup& s) {
  std::vector<std::vector<float>> values;
  for (const TrainedParameter& p : s.trained->entries()) values.push_back(p.tensor.to_vector<float>());
  return values;
}

double length(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t k = 0; k < a[i].size(); ++k) sum += std::pow(static_cast<double>(a[i][k]) - b[i][k], 2);
  return std::sqrt(sum);
}

TrainConfig plain_sgd(double clip_norm) {
  return {.classes = {"a", "b", "c"},
          .batch = 6,
          .optimizer = OptimizerKind::sgd,
          .momentum = 0,
          .weight_decay = 0,
          .clip_norm = clip_norm};
}

}  // namespace

TEST_CASE("a step along a long gradient is as long as it may be, along a short one as it is") {
  for (const auto& make_device : {+[] { return test::reference_device(); }, +[] { return test::cpu_device(); }}) {
    const auto after_step = [&](double clip_norm) {
      Setup s(plain_sgd(clip_norm), {}, make_device());
      const auto before = trained_values(s);
      s.step(0.5);
      const auto after = trained_values(s);
      return std::pair(after, length(after, before) / 0.5);
    };
    const auto [free, norm] = after_step(0);
    REQUIRE(norm > 0.1);
    CHECK(after_step(norm / 8).second == Approx(norm / 8).epsilon(1e-4));
    CHECK(after_step(norm * 2).first == free);  // to the bit
  }
}

TEST_CASE("clipping looks for what is not finite in the same pass") {
  Setup s(plain_sgd(1));
  s.step();
  std::map<Primitive, int> calls;
  s.device->observer = [&](Primitive p, const char*) { ++calls[p]; };
  s.step();
  CHECK(calls[Primitive::clip_factor] == 1);
  CHECK(calls[Primitive::check_finite] == 1);  // the loss
  const auto before = trained_values(s);
  s.images[5] = std::numeric_limits<float>::quiet_NaN();
  s.step();
  CHECK(s.state->flag.item() == 1);
  CHECK(trained_values(s) == before);
}

TEST_CASE("an average follows the weights, predicts, and keeps still while the flag is up") {
  // Of the whole network, and of a head alone: there nothing but the average says that something has changed.
  const std::vector<std::string> nothing, but_the_head = {"conv*", "bn*"};
  for (const auto& freeze : {nothing, but_the_head}) {
    TrainConfig config = config_with(OptimizerKind::adamw);
    config.ema = 0.75;
    Setup s(config, freeze);
    std::vector<double> expected;
    const auto weight = [&] { return s.network.get("fc.weight"); };
    for (const float w : weight()) expected.push_back(w);
    for (int step = 0; step < 3; ++step) {
      s.step();
      for (size_t i = 0; i < expected.size(); ++i) expected[i] = 0.75 * expected[i] + 0.25 * weight()[i];
    }
    const auto averaged = s.scion->answering().get("fc.weight");
    for (size_t i = 0; i < expected.size(); ++i) CHECK(averaged[i] == Approx(expected[i]).margin(1e-6));
    CHECK(averaged != weight());

    for (int steps = 0; steps < 2; ++steps) {  // the piece packs the average anew after a step
      s.rootstock->run(s.images.data(), 6);
      const auto predicted = s.scion->predict(s.labels());
      const auto walked =
          s.scion->answering().walk({.given = s.rootstock->values(6), .wanted = {s.graph.outputs[0].node}});
      const auto logits = walked.values[0].to_vector<float>();
      for (size_t i = 0; i < logits.size(); ++i)
        CHECK(predicted.logits[i] == Approx(logits[i]).epsilon(1e-5).margin(1e-5));
      s.step();
    }
    const auto before = s.scion->answering().get("fc.weight");
    s.images[5] = std::numeric_limits<float>::quiet_NaN();
    s.step();
    CHECK(s.state->flag.item() == 1);
    CHECK(s.scion->answering().get("fc.weight") == before);
  }
}

// Constant zeros have no variance: a batch norm hides its scale in the forward pass, and not in the backward one.
TEST_CASE("an infinite gradient under a finite loss stops the step") {
  Setup s(config_with(OptimizerKind::sgd));
  s.network.set("conv1.weight", std::vector<float>(8 * 3 * 9, 0));
  s.network.set("bn1.weight", std::vector<float>(8, 3e38f));
  s.network.set("bn1.bias", std::vector<float>(8, 0.5f));
  const auto before = s.network.get("fc.bias");
  CHECK(std::isfinite(s.step().loss));
  CHECK(s.state->flag.item() == 1);
  CHECK(s.network.get("fc.bias") == before);
}

TEST_CASE("masks differ from step to step, and a run is the same twice") {
  const auto losses = [] {
    TrainConfig c = config_with(OptimizerKind::sgd);
    Setup s(c);
    std::vector<double> l;
    for (int i = 0; i < 4; ++i) l.push_back(s.step(0).loss);  // nothing moves but the masks
    return l;
  };
  const auto a = losses();
  CHECK(a == losses());
  CHECK(a[0] != a[1]);
}

TEST_CASE("a smaller last batch has a plan of its own") {
  Setup s(config_with(OptimizerKind::sgd));
  s.step();
  s.rootstock->run(s.images.data(), 2);
  const auto r = s.scion->step({0, 1}, 0.1);
  CHECK(r.logits.size() == 6);
  CHECK(s.state->step.item() == 2);
}

TEST_CASE("a step checks and moves parameters in a call for each group") {
  Setup s(config_with(OptimizerKind::adamw));
  s.step();  // records and plans
  std::map<Primitive, int> calls;
  s.device->observer = [&](Primitive p, const char*) { ++calls[p]; };
  s.step();
  CHECK(calls[Primitive::adamw] == 2);         // weights, and what does not decay
  CHECK(calls[Primitive::check_finite] == 2);  // the loss, all gradients
  CHECK(calls[Primitive::cast] == 0);          // every gradient was made in its place
}

TEST_CASE("a step allocates nothing") {
  for (const auto& device : {test::reference_device(), test::cpu_device()}) {
    Setup s(config_with(OptimizerKind::sgd), {}, device);
    s.step();
    const auto before = device->allocator().statistics().allocations;
    s.step();
    CHECK(device->allocator().statistics().allocations == before);
  }
}

TEST_CASE("one, two and three threads take the same step to the bit") {
  std::vector<std::vector<float>> weights;
  for (int threads : {1, 2, 3}) {
    Setup s(config_with(OptimizerKind::sgd), {}, test::cpu_device(CpuIsa::avx512, threads));
    for (int i = 0; i < 3; ++i) s.step();
    weights.push_back(s.network.get("conv1.weight"));
  }
  CHECK(weights[0] == weights[1]);
  CHECK(weights[0] == weights[2]);
}
