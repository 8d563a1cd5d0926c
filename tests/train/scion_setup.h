// A scion with all that it needs: no files, no photos.
#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/devices.h"
#include "tests/support/random_tensor.h"
#include "tests/train/tiny_graph.h"
#include "train/initialise.h"
#include "train/scion.h"

namespace graft::test {

// `freeze_patterns` of the graph are frozen.
struct ScionSetup {
  explicit ScionSetup(train::TrainConfig c, std::vector<std::string> freeze_patterns = {},
                      std::shared_ptr<Device> d = reference_device(), models::Graph g = tiny_graph(3))
      : config(std::move(c)),
        device(std::move(d)),
        graph(std::move(g)),
        freeze(models::plan_freeze(graph, {std::move(freeze_patterns), {}})),
        whole(graph, device),
        network(graph, device) {
    const auto all = [](const models::Parameter&) { return true; };
    train::initialise(whole, 5, all);
    train::initialise(network, 5, all);
    network.require_gradients(freeze);
    trained = std::make_unique<train::FlatParameters>(network);
    optimizer = std::make_unique<train::Optimizer>(config, *trained);
    state = std::make_unique<train::StepState>(device, 11);
    const auto [height, width, channels] = graph.input();
    rootstock =
        std::make_unique<train::Rootstock>(graph, freeze, device, config.batch, height, width,
                                           [this](const std::string& name, int64_t first, int64_t count, float* out) {
                                             const auto values = whole.get(name);
                                             std::copy_n(values.begin() + first, count, out);
                                           });
    scion = std::make_unique<train::Scion>(network, freeze, *rootstock, config, *optimizer, *state);
    const auto values = distinct_values(config.batch * height * width * channels, 3);
    images.assign(values.begin(), values.end());
  }

  train::Scion::Result step(double learning_rate = 0.1) {
    rootstock->run(images.data(), config.batch);
    return scion->step(labels(), learning_rate);
  }
  std::vector<int64_t> labels() const {
    std::vector<int64_t> l;
    for (int64_t i = 0; i < config.batch; ++i) l.push_back(i % static_cast<int64_t>(config.classes.size()));
    return l;
  }

  train::TrainConfig config;
  std::shared_ptr<Device> device;
  models::Graph graph;
  models::FreezePlan freeze;
  models::Network whole, network;
  std::unique_ptr<train::FlatParameters> trained;
  std::unique_ptr<train::Optimizer> optimizer;
  std::unique_ptr<train::StepState> state;
  std::unique_ptr<train::Rootstock> rootstock;
  std::unique_ptr<train::Scion> scion;
  std::vector<float> images;
};

}  // namespace graft::test
