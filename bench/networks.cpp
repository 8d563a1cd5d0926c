// Times whole networks on demand, so that a script can take turns with another framework in one run (bench/floors).
//
//   graft_bench_networks TASK MODEL BATCH THREADS      TASK: predict | train-head | train-all
//
// Weights are drawn, images are on the device. For each line on standard input, a number of steps, it runs that many
// and prints the seconds of each; before the first line it prints what it is ready for.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_backend.h"
#include "models/registry.h"
#include "train/synthetic.h"

namespace {

using namespace graft;

struct Task {
  virtual ~Task() = default;
  virtual void step() = 0;
};

struct Predict : Task {
  Predict(const models::Graph& graph, std::shared_ptr<Device> d, int64_t batch)
      : device(std::move(d)), prediction(graph, device, batch) {}
  void step() override {
    prediction.run();
    device->synchronize();
  }

  std::shared_ptr<Device> device;
  train::SyntheticPrediction prediction;
};

struct Train : Task {
  Train(const models::Graph& graph, const std::shared_ptr<Device>& device, int64_t batch, bool head_only)
      : training(graph, device, batch, {{}, {head_only ? graph.head : "*"}}) {}
  void step() override { training.step(); }

  train::SyntheticTraining training;
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
