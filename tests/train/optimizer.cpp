#include "train/optimizer.h"

#include <catch2/catch.hpp>

#include "tests/support/devices.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/tiny_graph.h"
#include "train/checkpoint.h"
#include "train/initialise.h"

using namespace graft;
using namespace graft::train;

TEST_CASE("weight decay leaves alone what does not decay") {
  const auto device = test::reference_device();
  for (OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adamw}) {
    const TrainConfig config{.optimizer = kind, .weight_decay = 0.5};
    const FlatParameters parameters({{"weight", full(device, {3}, 2), true}, {"bias", full(device, {3}, 2), false}});
    const StepState state(device, 1);
    state.learning_rate.assign(std::span<const double>(std::vector<double>{0.1}));
    Optimizer(config, parameters).step(state);  // by gradients of zero
    CHECK(parameters.entries()[0].tensor.to_vector<float>()[0] == Approx(2 - 0.1 * 0.5 * 2));
    CHECK(parameters.entries()[1].tensor.to_vector<float>() == std::vector<float>(3, 2));
  }
}

TEST_CASE("a checkpoint brings back the state of each optimiser") {
  const test::TemporaryFolder folder;
  const auto device = test::reference_device();
  models::Network network(test::tiny_graph(2), device);
  initialise(network, 1, [](const models::Parameter&) { return true; });
  const auto freeze = models::plan_freeze(network.graph(), {});
  network.require_gradients([](const models::Parameter&) { return true; });
  const FlatParameters trained(network);

  for (OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adamw}) {
    const auto path = folder / (kind == OptimizerKind::sgd ? "sgd.h5" : "adamw.h5");
    const TrainConfig config{.classes = {"a", "b"}, .optimizer = kind};
    const Optimizer saved(config, trained), resumed(config, trained);
    const StepState step(device, 1);
    double value = 0;  // another one in each, so that none is taken for another
    for (const auto& [name, tensor] : saved.buffers()) device->run(FillArgs{.y = tensor, .value = ++value});
    const RunState state{.sums = {32, 20, 31, 1.5}};
    save_checkpoint(path, config, state, network, freeze, saved, step);
    const RunState back = load_checkpoint(path, config, network, freeze, resumed, step);
    CHECK(back.sums.images == 32);
    CHECK(back.sums.top5 == 31);
    REQUIRE(saved.buffers().size() == trained.entries().size() * (kind == OptimizerKind::sgd ? 1 : 2));
    for (const auto& [name, tensor] : saved.buffers()) {
      INFO(name);
      CHECK(resumed.buffers().at(name).to_vector<float>() == tensor.to_vector<float>());
    }
  }
}
