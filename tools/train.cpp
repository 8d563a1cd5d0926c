// graft train: a network learns to tell the folders of a data set apart.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <optional>

#include "tools/backend.h"
#include "tools/command.h"
#include "tools/command_text.h"
#include "tools/output.h"
#include "tools/signals.h"
#include "tools/train_report.h"
#include "train/setup.h"
#include "train/trainer.h"

namespace graft::tools {

namespace {

struct TrainCommand {
  std::filesystem::path folder, from, output;
  std::string scratch;
  train::TrainConfig config;
  std::optional<double> learning_rate;
  bool no_augment = false, resume = false;
  double checkpoint_seconds = 10;
  std::optional<int> loader_threads;
  DeviceOptions device;
  ReportOptions report;
  const CommandLine* line = nullptr;
};

train::TrainOptions make_options(const TrainCommand& o, const train::RunSetup& setup) {
  train::TrainOptions t;
  t.model = setup.model;
  t.from = setup.from;
  t.train = &setup.train;
  t.validation = &setup.validation;
  t.config = setup.config;
  t.output = o.output;
  const auto checkpoint = train::checkpoint_path(o.output);
  t.resume = o.resume && std::filesystem::exists(checkpoint);
  if (o.resume && !t.resume) note("there is no {} yet: beginning at the start", checkpoint.string());
  t.loader_threads = o.loader_threads.value_or(reading_threads(2));
  t.checkpoint_seconds = o.checkpoint_seconds;
  t.device = open_device(o.device);
  return t;
}

std::string command_to_resume(const TrainCommand& o) {
  auto arguments = o.line->arguments;
  if (!o.resume) arguments.push_back("--resume");
  return command_line(arguments);
}

// A run that diverged meets the same step again when it is resumed: the loss was computed before any learning rate. It
// has to go back to weights that were good, or to the start, and move more slowly.
std::string command_after_divergence(const TrainCommand& o, const train::TrainOptions& t, bool from_best) {
  auto arguments = with_option(o.line->arguments, {"--lr"}, fmt::format("{:g}", t.config.learning_rate / 10));
  std::erase(arguments, "--resume");
  if (!from_best) return command_line(arguments);
  if (!o.scratch.empty()) {
    arguments = without_option(arguments, {"--scratch"});
    arguments.insert(arguments.end(), {"--train", "*"});
  }
  arguments = with_option(arguments, {"--from"}, t.output.string());
  auto again = t.output;
  again.replace_extension(".again" + t.output.extension().string());
  return command_line(with_option(arguments, {"-o", "--output"}, again.string()));
}

std::string describe_divergence(const TrainCommand& o, const train::TrainOptions& t,
                                const train::TrainOutcome& outcome) {
  const bool from_best = outcome.best_epoch > 0;
  const std::string what =
      outcome.diverged_in == train::DivergedIn::training
          ? fmt::format("step {} gave a training loss or a gradient that is not finite", outcome.diverged_step)
          : fmt::format("after step {} the validation loss is not finite, though the training loss was",
                        outcome.diverged_step);
  return fmt::format(
      "graft: {}, so training stopped\n"
      "  {} holds the weights of {}; to resume would lead to the same step\n"
      "  the learning rate was {:g}; {} with a smaller one: {}",
      what, t.output.string(),
      from_best ? fmt::format("the best epoch, {}", outcome.best_epoch) : "the last finite step",
      t.config.learning_rate, from_best ? "go on from there" : "begin again",
      command_after_divergence(o, t, from_best));
}

Json start_event(const train::TrainOptions& t, const train::TrainPlanReport& r, size_t resumed_epochs) {
  return {{"event", "start"},
          {"output", t.output.string()},
          {"device", t.device->name()},
          {"train_images", t.train->samples.size()},
          {"validation_images", t.validation->samples.size()},
          {"trained_parameters", r.trained_parameters},
          {"frozen_parameters", r.frozen_parameters},
          {"step_arena_bytes", r.step_arena_bytes},
          {"resumed_epochs", resumed_epochs},
          {"config", Json::parse(train::to_json(t.config))}};
}

void print_start(const TrainCommand& o, const train::TrainOptions& t, const train::TrainPlanReport& r) {
  const train::TrainConfig& c = t.config;
  say("{} {} on {}, {} for validation{}, {} classes: {}\n",
      o.scratch.empty() ? "training" : "training from scratch:", c.model,
      counted(static_cast<int64_t>(t.train->samples.size()), "photo"),
      with_commas(static_cast<int64_t>(t.validation->samples.size())),
      c.given_split ? "" : fmt::format(" ({} of each class)", as_percent(c.validation_fraction)), c.classes.size(),
      fmt::join(c.classes, ", "));
  const std::string which = !c.freeze.empty()  ? fmt::format("all but {}", fmt::join(c.freeze, ", "))
                            : !c.train.empty() ? fmt::format("{}", fmt::join(c.train, ", "))
                                               : "everything";
  say("trains: {} ({} parameters); frozen: {} parameters\n", which, with_commas(r.trained_parameters),
      with_commas(r.frozen_parameters));
  say("memory: frozen part {}, a step {}; computing on {} ({})\n",
      as_bytes_text(r.frozen_packed_bytes + r.frozen_arena_bytes), as_bytes_text(r.step_arena_bytes), t.device->name(),
      t.device->description());
  say("{} epochs, batch {}, {} with learning rate {:g}, seed {}\n", c.epochs, c.batch,
      c.optimizer == train::OptimizerKind::adamw ? "AdamW" : "SGD", c.learning_rate, c.seed);
  say("files: {} (the best epoch's model), {} (to go on from), {}\n\n", t.output.string(),
      train::checkpoint_path(t.output).string(), log_path(t.output).string());
  flush_output();
}

void print_end(const TrainCommand& o, const train::TrainOptions& t, const train::TrainOutcome& outcome) {
  const auto& best = outcome.history.at(static_cast<size_t>(outcome.best_epoch - 1));
  say("\nbest: epoch {}, validation accuracy {}, written to {}\n", best.epoch, as_percent(best.validation_accuracy),
      t.output.string());
  const std::string validation = t.config.given_split ? t.validation->root.string()
                                                      : fmt::format("{} (other photos tell more)", o.folder.string());
  say("next:\n  graft predict {} PHOTO\n  graft evaluate {} {}\n", t.output.string(), t.output.string(), validation);
  if (o.scratch.empty() && t.config.train == std::vector<std::string>{t.model.graph.head})
    say("  graft train {} --from {} --train '*' -o {}    trains all of it, from here\n",
        shell_quoted(o.folder.string()), t.output.string(),
        std::filesystem::path(t.output).replace_extension(".all" + t.output.extension().string()).string());
}

int report_end(const TrainCommand& o, const train::TrainOptions& t, const train::TrainOutcome& outcome) {
  const auto checkpoint = train::checkpoint_path(t.output).string();
  switch (outcome.end) {
    case train::TrainEnd::finished:
      if (!o.report.json && !o.report.quiet) print_end(o, t, outcome);
      return kDone;
    case train::TrainEnd::interrupted:
      note("interrupted: saved {} after {} of {} epochs; go on with: {}", checkpoint, outcome.history.size(),
           t.config.epochs, command_to_resume(o));
      return kInterrupted;
    case train::TrainEnd::diverged:
      note("{}", describe_divergence(o, t, outcome));
      return kFailed;
  }
  return kFailed;
}

int train_command(const TrainCommand& given) {
  TrainCommand o = given;
  if (o.from.empty() == o.scratch.empty()) wrong_use("train needs --from MODEL.h5 or --scratch NETWORK, and not both");
  if (!o.scratch.empty() && !(o.config.freeze.empty() && o.config.train.empty()))
    wrong_use("with --scratch everything trains: leave --freeze and --train out");
  if (o.output.empty()) {
    const auto folder = std::filesystem::absolute(o.folder / "").parent_path().lexically_normal();
    o.output = folder.filename().concat(".h5");
  }
  if (o.output.extension().empty()) o.output += ".h5";
  std::error_code ignored;
  GRAFT_CHECK(o.from.empty() || !std::filesystem::equivalent(o.from, o.output, ignored),
              "{}: the result would replace the model it starts from; give another name with -o", o.output.string());

  const auto& stop = watch_for_stop();
  train::RunRequest request{
      .photos = o.folder, .from = o.from, .scratch = o.scratch, .config = o.config, .learning_rate = o.learning_rate};
  request.config.augment = !o.no_augment;
  const train::RunSetup setup = train::set_up(request);
  auto options = make_options(o, setup);
  options.stop = &stop;
  train::Trainer trainer(options);
  const auto plan = trainer.report();

  if (!o.report.json && !o.report.quiet) print_start(o, options, plan);
  TrainReport report(options.output, o.report, options.resume ? &trainer.state() : nullptr);
  report.start(start_event(options, plan, trainer.state().history.size()));
  for (const io::SkippedFile& s : setup.train.skipped) report.skipped(s);
  for (const io::SkippedFile& s : setup.validation.skipped) report.skipped(s);
  for (const train::EpochRecord& r : trainer.state().history)
    report.epoch(r, {}, r.epoch == trainer.state().best_epoch);

  const auto outcome = trainer.run({
      .progress = [&](const train::TrainProgress& p) { report.progress(p); },
      .epoch = [&](const train::EpochRecord& r, double seconds, bool best) { report.epoch(r, seconds, best); },
      .skipped = [&](const io::SkippedFile& s) { report.skipped(s); },
  });
  report.end(outcome);
  return report_end(o, options, outcome);
}

void add_what(CLI::App& app, TrainCommand& o) {
  app.add_option("DIR", o.folder, "A folder of photos for each class; or train/ and val/ with such folders")
      ->required();
  app.add_option("--from", o.from, "The model file to start from");
  app.add_option("--scratch", o.scratch,
                 "Or a network's name: weights are drawn at random (`graft models` lists them)");
  app.add_option("-o,--output", o.output, "The model file to write; default: the folder's name with .h5, here");
  auto* freeze =
      app.add_option("--freeze", o.config.freeze, "Layers that keep their weights (patterns with *, ? and [])");
  app.add_option("--train", o.config.train,
                 "Layers that train, and no others; '*': all. Default: the head, a new one "
                 "where the classes are others")
      ->excludes(freeze);
  app.add_flag("--resume", o.resume, "Go on where the last checkpoint stands; all settings as they were");
}

void add_how(CLI::App& app, TrainCommand& o) {
  train::TrainConfig& c = o.config;
  const std::map<std::string, train::OptimizerKind> optimizers = {{"sgd", train::OptimizerKind::sgd},
                                                                  {"adamw", train::OptimizerKind::adamw}};
  const std::map<std::string, train::ScheduleKind> schedules = {{"constant", train::ScheduleKind::constant},
                                                                {"cosine", train::ScheduleKind::cosine},
                                                                {"step", train::ScheduleKind::step}};
  const auto group = [&](CLI::Option* option) {
    option->group("How it learns");
    return option;
  };
  group(app.add_option("--epochs", c.epochs, "Times that every photo is seen"))->capture_default_str();
  group(app.add_option("--batch", c.batch, "Photos in a step"))->capture_default_str();
  group(app.add_option("--seed", c.seed, "Of the split, the order, the new head, dropout"))->capture_default_str();
  group(app.add_option("--optimizer", c.optimizer, "sgd or adamw"))
      ->transform(CLI::CheckedTransformer(optimizers))
      ->option_text("NAME=adamw");
  group(app.add_option("--lr", o.learning_rate,
                       "Learning rate; default: 1e-3 for a head or from scratch, 1e-4 where a "
                       "trunk trains (sgd: 1e-2, 5e-2, 1e-3)"));
  group(app.add_option("--weight-decay", c.weight_decay, "Not on biases and norms"))->capture_default_str();
  group(app.add_option("--momentum", c.momentum, "Of sgd"))->capture_default_str();
  group(app.add_flag("--nesterov", c.nesterov, "Nesterov's momentum, with sgd"));
  group(app.add_option("--beta1", c.beta1, "Of adamw"))->capture_default_str();
  group(app.add_option("--beta2", c.beta2, "Of adamw"))->capture_default_str();
  group(app.add_option("--eps", c.eps, "Of adamw"))->capture_default_str();
  group(app.add_option("--schedule", c.schedule, "Of the learning rate: constant, cosine or step"))
      ->transform(CLI::CheckedTransformer(schedules))
      ->option_text("NAME=cosine");
  group(app.add_option("--warmup", c.warmup_steps, "Steps in which the learning rate grows to its value"))
      ->capture_default_str();
  group(app.add_option("--step-epochs", c.step_epochs, "Schedule step: epochs until the rate drops"))
      ->capture_default_str();
  group(app.add_option("--step-factor", c.step_factor, "Schedule step: what it is multiplied by"))
      ->capture_default_str();
  group(app.add_option("--label-smoothing", c.label_smoothing, "Share of the target spread over all classes"))
      ->capture_default_str();
  group(app.add_flag("--no-augment", o.no_augment, "No random crops and flips"));
  group(app.add_option("--min-crop", c.min_crop_area, "Smallest random crop, as a share of the photo"))
      ->capture_default_str();
  group(app.add_option("--validation", c.validation_fraction,
                       "Share of each class kept for validation where DIR has no val/"))
      ->capture_default_str();
}

}  // namespace

void add_train(CommandLine& line) {
  auto [app, o] = add_command(line, "train", "Teach a network to tell the folders of a data set apart",
                              "graft train photos/ --from lite0.h5 -o pets.h5\n"
                              "graft train photos/ --from resnet18.h5 --train 'layer4*' fc --epochs 10 --seed 1\n"
                              "graft train cifar/ --scratch resnet20 --epochs 30 --batch 128 --optimizer sgd",
                              train_command);
  o.line = &line;
  add_what(app, o);
  add_how(app, o);
  app.add_option("--checkpoint-seconds", o.checkpoint_seconds,
                 "Least time between two checkpoints; 0: after every step")
      ->check(CLI::Range(0.0, 86'400.0))
      ->capture_default_str();
  app.add_option("--loader-threads", o.loader_threads, "Threads that read photos ahead; changes no result")
      ->check(CLI::Range(0, 256));
  add_device_options(app, o.device);
  add_report_options(app, o.report);
}

}  // namespace graft::tools
