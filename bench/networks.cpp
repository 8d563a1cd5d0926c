// Times whole networks on demand, so that a script can take turns with another framework in one run (bench/floors).
//
//   graft_bench_networks TASK MODEL BATCH THREADS      TASK: predict | train-head | train-all
//
// Weights are drawn, images are in memory. For each line on standard input, a number of steps, it runs that many and
// prints the seconds of each; before the first line it prints what it is ready for.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_backend.h"
#include "models/registry.h"
#include "train/initialise.h"
#include "train/predictor.h"
#include "train/scion.h"

namespace {

using namespace graft;

// Weights of a network by name, drawn once.
models::ReadWeights drawn_weights(const models::Graph& graph, const std::shared_ptr<Device>& device) {
  auto network = std::make_shared<models::Network>(graph, device);
  train::initialise(*network, 0, [](const models::Parameter&) { return true; });
  return [network, read = network->reader()](const std::string& name, int64_t first, int64_t count, float* out) {
    read(name, first, count, out);
  };
}

std::vector<float> some_images(int64_t count) {
  std::vector<float> images(static_cast<size_t>(count));
  for (size_t i = 0; i < images.size(); ++i) images[i] = static_cast<float>(i * 2654435761u % 1021) / 510.5f - 1;
  return images;
}

struct Task {
  virtual ~Task() = default;
  virtual void step() = 0;
};

struct Predict : Task {
  Predict(const models::Graph& graph, const std::shared_ptr<Device>& device, int64_t batch_size)
      : predictor(graph, drawn_weights(graph, device), device, {.batch = batch_size}),
        batch(batch_size),
        images(some_images(predictor.input_shape().numel())) {}
  void step() override { predictor.run(images.data(), batch); }

  train::Predictor predictor;
  int64_t batch;
  std::vector<float> images;
};

struct Train : Task {
  Train(const models::Graph& network_graph, const std::shared_ptr<Device>& device, int64_t batch, bool head_only)
      : graph(network_graph),
        freeze(models::plan_freeze(graph, {{}, {head_only ? graph.head : "*"}})),
        network(graph, device),
        state(device, 1),
        images(some_images(batch * graph.input().height * graph.input().width * 3)) {
    config.batch = batch;
    config.optimizer = train::OptimizerKind::sgd;
    config.momentum = 0.9;
    for (int64_t i = 0; i < batch; ++i) labels.push_back(i * 37 % models::classes_of(graph));
    train::initialise(network, 0, [](const models::Parameter&) { return true; });
    network.require_gradients(freeze);
    parameters = std::make_unique<train::FlatParameters>(network);
    optimizer = std::make_unique<train::Optimizer>(config, *parameters);
    rootstock = std::make_unique<train::Rootstock>(graph, freeze, device, batch, graph.input().height,
                                                   graph.input().width, drawn_weights(graph, device));
    scion = std::make_unique<train::Scion>(network, freeze, *rootstock, config, *optimizer, state);
  }
  void step() override {
    rootstock->run(images.data(), config.batch);
    scion->step(labels, 1e-3);
  }

  models::Graph graph;
  models::FreezePlan freeze;
  models::Network network;
  train::StepState state;
  train::TrainConfig config;
  std::vector<float> images;
  std::vector<int64_t> labels;
  std::unique_ptr<train::FlatParameters> parameters;
  std::unique_ptr<train::Optimizer> optimizer;
  std::unique_ptr<train::Rootstock> rootstock;
  std::unique_ptr<train::Scion> scion;
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 5) {
    std::fprintf(stderr, "usage: graft_bench_networks predict|train-head|train-all MODEL BATCH THREADS\n");
    return 2;
  }
  const std::string what = argv[1];
  const int64_t batch = std::atoll(argv[3]);
  Backend backend;
  const CpuOptions options{.threads = std::atoi(argv[4])};
  if (graft_cpu_backend(&options, &backend) != Status::ok) return std::fprintf(stderr, "no cpu backend\n"), 1;
  const auto device = Device::create(backend);
  const models::Graph graph = models::make_model(argv[2]);
  std::unique_ptr<Task> task;
  if (what == "predict") {
    task = std::make_unique<Predict>(graph, device, batch);
  } else {
    task = std::make_unique<Train>(graph, device, batch, what == "train-head");
  }

  std::cout << "ready " << what << ' ' << argv[2] << ", " << device->description() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    for (int64_t i = 0; i < std::atoll(line.c_str()); ++i) {
      const auto start = std::chrono::steady_clock::now();
      task->step();
      std::cout << std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() << ' ';
    }
    std::cout << std::endl;
  }
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "graft_bench_networks: %s\n", e.what());
  return 1;
}
