// graft bench models: how fast a whole network predicts, images and weights in memory.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>

#include "models/network.h"
#include "models/registry.h"
#include "tools/backend.h"
#include "tools/command.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/report.h"
#include "train/initialise.h"
#include "train/predictor.h"

namespace graft::tools {

namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  std::string model;
  int64_t batch = 1;
  double seconds = 3;
  DeviceOptions device;
  ReportOptions report;
};

// A file, or a network's name with weights drawn at random.
train::Predictor make_predictor(const BenchOptions& o, const std::shared_ptr<Device>& device) {
  const train::PredictorOptions options{.batch = o.batch, .height = 0, .width = 0, .layers = {}};
  if (std::filesystem::exists(o.model)) return {train::ModelFile(o.model), device, options};
  models::Network network(models::make_model(o.model), device);
  train::initialise(network, 0, [](const models::Parameter&) { return true; });
  return {network.graph(), network.reader(), device, options};
}

// Seconds of one execution: the median of as many as fit the time, five at least, after two that warm up.
double measure(const train::Predictor& predictor, int64_t batch, double seconds, int64_t& runs) {
  std::vector<float> images(static_cast<size_t>(predictor.input_shape().numel()));
  for (size_t i = 0; i < images.size(); ++i) images[i] = static_cast<float>(i % 251) / 125.5f - 1;
  for (int i = 0; i < 2; ++i) predictor.run(images.data(), batch);
  std::vector<double> times;
  for (const auto start = Clock::now();
       times.size() < 5 || std::chrono::duration<double>(Clock::now() - start).count() < seconds;) {
    const auto before = Clock::now();
    predictor.run(images.data(), batch);
    times.push_back(std::chrono::duration<double>(Clock::now() - before).count());
  }
  runs = static_cast<int64_t>(times.size());
  std::nth_element(times.begin(), times.begin() + runs / 2, times.end());
  return times[static_cast<size_t>(runs / 2)];
}

int bench_models(const BenchOptions& o) {
  const auto device = open_device_noted(o.device);
  const train::Predictor predictor = make_predictor(o, device);
  device->allocator().trim();
  device->allocator().reset_peak();
  int64_t runs = 0;
  const double seconds = measure(predictor, o.batch, o.seconds, runs);
  const auto& plan = predictor.report();
  const int64_t peak = device->allocator().statistics().peak;  // packed weights and the arena among it
  const double rate = static_cast<double>(o.batch) / seconds;
  if (o.report.json) {
    print_json({{"images_per_second", rate}, {"milliseconds", 1000 * seconds}, {"peak_bytes", peak}});
    return kDone;
  }
  say("{}, batch {}, {}: {:.1f} images/s, {:.2f} ms a batch (median of {})\n", o.model, o.batch, device->description(),
      rate, 1000 * seconds, runs);
  say("memory: weights {}, arena {} (no plan needs less than {}), with images and answers {}\n",
      as_bytes_text(plan.packed_bytes), as_bytes_text(plan.arena_bytes), as_bytes_text(plan.arena_lower_bound),
      as_bytes_text(peak));
  return kDone;
}

}  // namespace

void add_bench(CommandLine& line) {
  CLI::App& bench = add_subcommand(line.app, "bench", "Measure speed",
                                   "graft bench kernels --filter conv2d\n"
                                   "graft bench models --model resnet50 --batch 16\n"
                                   "graft bench train --model resnet50 --batch 256 --precision bf16 --device cuda\n"
                                   "graft bench tune --model pets.h5 --batch 32 -o tuning.json");
  bench.require_subcommand(0, 1);
  add_bench_kernels(line, bench);
  auto [app, o] = add_command(line, bench, "models", "Measure how fast a network predicts",
                              "graft bench models --model pets.h5\n"
                              "graft bench models --model resnet50 --batch 16 --threads 2 --json",
                              bench_models);
  app.add_option("--model", o.model, "A model file, or a network's name: random weights")
      ->required()
      ->type_name("MODEL.h5|NAME");
  add_batch(app, o.batch, "Images at a time");
  add_number(app, "--seconds", o.seconds, {0, 3600}, "How long to measure")->type_name("SECONDS");
  add_device_options(app, o.device);
  add_report_options(app, o.report);
  add_bench_train(line, bench);
  add_bench_tune(line, bench);
}

}  // namespace graft::tools
