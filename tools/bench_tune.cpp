// graft bench tune: which way of each call of a network is the fastest on this device, written to a tuning file.
#include <chrono>
#include <filesystem>

#include "io/staged_file.h"
#include "models/registry.h"
#include "tools/backend.h"
#include "tools/command.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/overwrite.h"
#include "tools/progress.h"
#include "tools/report.h"
#include "tools/signals.h"
#include "train/measure_ways.h"
#include "train/model_file.h"
#include "train/step_memory.h"
#include "train/tuning.h"

namespace graft::tools {

namespace {

// A way must be this much faster than the rule's to be taken in its place: less may be noise.
constexpr double kLeastGain = 1.03;

struct TuneOptions {
  std::string model;
  int64_t batch = 16;
  bool train = false;
  std::filesystem::path output;
  DeviceOptions device;
  ReportOptions report;
};

struct Model {
  models::Graph graph;
  int64_t side;
};
Model read_model(const std::string& name) {
  if (!std::filesystem::exists(name)) {
    models::Graph graph = models::make_model(name);
    const int64_t side = graph.input().height;
    return {std::move(graph), side};
  }
  const train::ModelFile file(name);
  return {file.graph(), file.info().preprocessing.crop};
}

std::vector<train::TunableCall> calls_of(const TuneOptions& o, const std::shared_ptr<Device>& device) {
  const Model model = read_model(o.model);
  auto calls = train::prediction_calls(model.graph, *device, o.batch, model.side);
  if (o.train) {
    const auto step = train::step_calls(model.graph, models::plan_freeze(model.graph, {}), device, o.batch, model.side);
    calls.insert(calls.end(), step.begin(), step.end());
  }
  return train::tunable_calls(*device, calls);
}

// The fastest, unless the rule's is as good.
train::TuningChoice choice_of(const train::TunableCall& call, const std::vector<train::WayTime>& times) {
  const train::WayTime &rule = times.front(), *best = &rule;
  for (const train::WayTime& t : times)
    if (t.failure.empty() && t.milliseconds * kLeastGain < rule.milliseconds && t.milliseconds < best->milliseconds)
      best = &t;
  return {.call = call.key,
          .way = best->way,
          .milliseconds = best->milliseconds,
          .rule = rule.way,
          .rule_milliseconds = rule.milliseconds};
}

std::string today() {
  const std::chrono::year_month_day day{std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now())};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()), static_cast<unsigned>(day.month()),
                     static_cast<unsigned>(day.day()));
}

void print_choices(const TuneOptions& o, const train::Tuning& tuning, const std::vector<train::TunableCall>& calls) {
  Table table({"call", "times", "rule ms", "best ms", "ratio", "best way"});
  double rule = 0, best = 0;
  for (size_t i = 0; i < calls.size(); ++i) {
    const train::TuningChoice& c = tuning.choices[i];
    const auto count = static_cast<double>(calls[i].count);
    rule += count * c.rule_milliseconds, best += count * c.milliseconds;
    if (o.report.json)
      print_json({{"call", c.call},
                  {"times", calls[i].count},
                  {"rule", c.rule},
                  {"rule_milliseconds", c.rule_milliseconds},
                  {"way", c.way},
                  {"milliseconds", c.milliseconds}});
    table.add({c.call, std::to_string(calls[i].count), fmt::format("{:.4f}", c.rule_milliseconds),
               fmt::format("{:.4f}", c.milliseconds), fmt::format("{:.2f}", c.rule_milliseconds / c.milliseconds),
               c.way == c.rule ? "the rule's" : c.way});
  }
  if (o.report.json) return;
  write_output(table.text());
  say("\n{}, batch {}: {:.3f} ms by the rules, {:.3f} ms by these choices, in these calls\n", o.model, o.batch, rule,
      best);
  say("written to {}; --tuning {} uses it, or GRAFT_TUNING in the environment\n", o.output.string(), o.output.string());
}

int bench_tune(const TuneOptions& given) {
  TuneOptions o = given;
  o.device.tuning = "none";  // what is there may be for other versions
  check_replaceable(o.output, {o.model}, true);
  const auto device = open_device_noted(o.device);
  train::Tuning tuning = train::new_tuning(*device, today());
  io::StagedFile file(o.output);  // before the work: a folder that cannot be written to is known at once
  const auto calls = calls_of(o, device);
  GRAFT_CHECK(!calls.empty(), "no call of {} has more than one way on this device: there is nothing to tune", o.model);

  const auto& stop = watch_for_stop();
  Progress progress("calls measured", static_cast<int64_t>(calls.size()), o.report.quiet);
  for (const train::TunableCall& call : calls) {
    progress.at(static_cast<int64_t>(tuning.choices.size()));
    const auto times = train::time_ways(device, call, {}, stop);
    if (stop) {
      note("interrupted: {} is not written", o.output.string());
      return kInterrupted;
    }
    for (const train::WayTime& t : times)
      if (!t.failure.empty()) note("{} cannot compute {}: {}", t.way, call.key, t.failure);
    tuning.choices.push_back(choice_of(call, times));
  }
  progress.at(static_cast<int64_t>(calls.size()));
  const std::string text = train::to_json(tuning);
  file.write(std::as_bytes(std::span(text)));
  file.commit();
  print_choices(o, tuning, calls);
  return kDone;
}

}  // namespace

void add_bench_tune(CommandLine& line, CLI::App& bench) {
  auto [app, o] = add_command(line, bench, "tune", "Find the fastest way of each call of a network on a GPU",
                              "graft bench tune --model resnet50 --batch 64 --train -o h200.json\n"
                              "graft bench tune --model pets.h5 --batch 16 --precision bf16 -o pets-h200.json\n"
                              "graft train photos/ --from lite0.h5 --batch 64 --tuning h200.json",
                              bench_tune);
  app.add_option("--model", o.model, "A model file, or a network's name")->required()->type_name("MODEL.h5|NAME");
  add_batch(app, o.batch, "Images at a time: choices are for calls of this batch");
  app.add_flag("--train", o.train, "Also the calls of a training step in which everything trains");
  add_output(app, o.output, "The tuning file to write")->required()->type_name("OUT.json");
  add_device_options(app, o.device);
  app.remove_option(app.get_option("--tuning"));
  add_report_options(app, o.report);
}

}  // namespace graft::tools
