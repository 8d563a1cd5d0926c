#include "train/checkpoint.h"

#include <catch2/catch.hpp>

#include "tests/support/devices.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/tiny_graph.h"
#include "train/initialise.h"

using namespace graft;
using namespace graft::train;
using Catch::Matchers::Contains;

namespace {

struct Run {
  explicit Run(uint64_t seed)
      : device(test::reference_device()),
        graph(test::tiny_graph(2)),
        freeze(models::plan_freeze(graph, {})),
        network(graph, device),
        step(device, seed) {
    initialise(network, seed, [](const models::Parameter&) { return true; });
    network.require_gradients([](const models::Parameter&) { return true; });
    for (const auto& e : network.entries())
      if (e.info.is_buffer)
        network.set(e.info.name, std::vector<float>(static_cast<size_t>(e.tensor.numel()), static_cast<float>(seed)));
    trained = std::make_unique<FlatParameters>(network);
    optimizer = std::make_unique<Optimizer>(config, *trained);
    for (const auto& [name, tensor] : optimizer->buffers())
      tensor.device().run(FillArgs{.y = tensor, .value = static_cast<double>(seed)});
    step.step.assign(std::span<const int64_t>(std::vector<int64_t>{static_cast<int64_t>(seed) * 10}));
  }
  TrainConfig config{.classes = {"a", "b"}};
  std::shared_ptr<Device> device;
  models::Graph graph;
  models::FreezePlan freeze;
  models::Network network;
  StepState step;
  std::unique_ptr<FlatParameters> trained;
  std::unique_ptr<Optimizer> optimizer;
};

}  // namespace

TEST_CASE("a checkpoint brings everything back") {
  const test::TemporaryFolder folder;
  const auto path = folder / "x.last.h5";
  Run a(3), b(4);
  const RunState state{.loader = {2, 48},
                       .sums = {32, 20, 31, 12.345678901234567},
                       .history = {{1, 0.1, 0.2, 0.3, 0.4, 0.5}, {2, 1.0 / 3, 0.6, 0.7, 0.8, 0.9}},
                       .best_epoch = 2,
                       .skipped_train = {"a/1.png", "b/2.png"},
                       .skipped_validation = {"a/3.png"}};
  save_checkpoint(path, a.config, state, a.network, a.freeze, *a.optimizer, a.step);
  const RunState back = load_checkpoint(path, b.config, b.network, b.freeze, *b.optimizer, b.step);
  CHECK(back.loader == state.loader);
  CHECK(back.sums.loss == state.sums.loss);
  CHECK(back.sums.top1 == 20);
  CHECK(back.history.size() == 2);
  CHECK(back.history[1].train_loss == 1.0 / 3);
  CHECK(back.best_epoch == 2);
  CHECK(back.skipped_train == state.skipped_train);
  CHECK(back.skipped_validation == state.skipped_validation);
  for (const auto& e : a.network.entries()) {
    INFO(e.info.name);
    CHECK(a.network.get(e.info.name) == b.network.get(e.info.name));
  }
  for (const auto& [name, tensor] : a.optimizer->buffers()) {
    INFO(name);
    CHECK(tensor.to_vector<float>() == b.optimizer->buffers().at(name).to_vector<float>());
  }
  CHECK(b.step.step.item() == 30);
  CHECK(b.step.random_state.to_vector<int64_t>() == a.step.random_state.to_vector<int64_t>());
}

TEST_CASE("a checkpoint of other settings is refused and changes nothing") {
  const test::TemporaryFolder folder;
  const auto path = folder / "x.last.h5";
  Run a(3), b(4);
  save_checkpoint(path, a.config, {}, a.network, a.freeze, *a.optimizer, a.step);
  TrainConfig other = a.config;
  other.batch = 99;
  const auto before = b.network.get("conv1.weight");
  CHECK_THROWS_WITH(load_checkpoint(path, other, b.network, b.freeze, *b.optimizer, b.step),
                    Contains("batch: 16 there, 99 here"));
  CHECK(b.network.get("conv1.weight") == before);
}

TEST_CASE("the checkpoint lies beside the model") {
  CHECK(checkpoint_path("out/pets.h5") == "out/pets.last.h5");
  CHECK(checkpoint_path("pets") == "pets.last");
}
