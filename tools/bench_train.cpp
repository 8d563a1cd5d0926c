// graft bench train: how fast a network's steps are on made-up images that lie on the device, and its answers.
#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <optional>

#include "models/registry.h"
#include "tools/backend.h"
#include "tools/command.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/report.h"
#include "train/synthetic.h"

namespace graft::tools {

namespace {

using Clock = std::chrono::steady_clock;

struct BenchTrainOptions {
  std::string model;
  int64_t batch = 32;
  double seconds = 3;
  std::vector<std::string> train, freeze;
  bool predict = false, turns = false;
  DeviceOptions device;
  ReportOptions report;
};

// What is measured: a training step, or the answers to a batch.
struct Work {
  std::optional<train::SyntheticTraining> training;
  std::optional<train::SyntheticPrediction> prediction;

  Work(const BenchTrainOptions& o, const std::shared_ptr<Device>& device) {
    models::Graph graph = models::make_model(o.model);
    if (o.predict)
      prediction.emplace(graph, device, o.batch);
    else
      training.emplace(std::move(graph), device, o.batch, models::FreezePatterns{o.freeze, o.train});
  }
  void step() { training ? (void)training->step() : prediction->run(); }
};

// Seconds a step takes when `steps` are given to the device one behind the other.
double time_steps(Work& work, Device& device, int64_t steps) {
  device.synchronize();
  const auto start = Clock::now();
  for (int64_t i = 0; i < steps; ++i) work.step();
  device.synchronize();
  return std::chrono::duration<double>(Clock::now() - start).count() / static_cast<double>(steps);
}

// For each number on standard input so many steps, and on standard output the seconds of one: so a script takes turns
// with another program.
int take_turns(Work& work, Device& device, const BenchTrainOptions& o) {
  say("ready {} {}, {}\n", o.model, o.device.precision, device.description());
  flush_output();
  for (int64_t steps; std::cin >> steps;) {
    if (steps < 1) wrong_use("a turn has at least one step, not {}", steps);
    say("{:.9f}\n", time_steps(work, device, steps));
    flush_output();
  }
  return kDone;
}

int bench_train(const BenchTrainOptions& o) {
  if (o.predict && !(o.train.empty() && o.freeze.empty()))
    wrong_use("--predict trains nothing: leave --train and --freeze out");
  const auto device = open_device(o.device);
  Work work(o, device);
  if (o.turns) return take_turns(work, *device, o);

  time_steps(work, *device, 2);
  std::vector<double> times;
  for (const auto start = Clock::now();
       times.size() < 5 || std::chrono::duration<double>(Clock::now() - start).count() < o.seconds;)
    times.push_back(time_steps(work, *device, 1));
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2], rate = static_cast<double>(o.batch) / median;
  const double spread = (times[times.size() * 3 / 4] - times[times.size() / 4]) / 2 / median;
  const int64_t trained = work.training ? work.training->trained_parameters() : 0;
  const int64_t peak = device->allocator().statistics().peak;
  if (o.report.json) {
    print_json({{"model", o.model},
                {"batch", o.batch},
                {"precision", o.device.precision},
                {"device", device->description()},
                {"trained_parameters", trained},
                {"images_per_second", rate},
                {"milliseconds", 1000 * median},
                {"spread", spread},
                {"runs", times.size()},
                {"peak_bytes", peak}});
    return kDone;
  }
  say("{}, batch {}, {}, {}: {:.1f} images/s, {:.2f} ms a {} (median of {}, ± {})\n", o.model, o.batch,
      o.device.precision, device->description(), rate, 1000 * median, o.predict ? "batch" : "step", times.size(),
      as_percent(spread));
  say("memory at its most: {}; parameters that train: {}\n", as_bytes_text(peak), with_commas(trained));
  return kDone;
}

}  // namespace

void add_bench_train(CommandLine& line, CLI::App& bench) {
  auto [app, o] = add_command(line, bench, "train", "Measure how fast a network trains on made-up images",
                              "graft bench train --model resnet50 --batch 256 --device cuda --precision bf16\n"
                              "graft bench train --model efficientnet_b0 --train 'classifier.1' --json\n"
                              "graft bench train --model resnet18 --predict --batch 16",
                              bench_train);
  app.add_option("--model", o.model, "A network's name; its weights are drawn")->required()->type_name("NAME");
  add_batch(app, o.batch, "Images at a time");
  add_patterns(app, "--train", o.train, "These train, the rest is frozen and compiled");
  add_patterns(app, "--freeze", o.freeze, "These are frozen, the rest trains");
  app.add_flag("--predict", o.predict, "Measure answers, not training");
  add_number(app, "--seconds", o.seconds, {0, 3600}, "How long to measure")->type_name("SECONDS");
  app.add_flag("--turns", o.turns,
               "For each number read from standard input, so many steps; answers with the seconds of one");
  add_device_options(app, o.device);
  add_report_options(app, o.report);
}

}  // namespace graft::tools
