// graft train: a network learns to tell the folders of a data set apart.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>

#include "tools/backend.h"
#include "tools/command.h"
#include "tools/command_text.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/overwrite.h"
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
  bool no_augment = false, resume = false, overwrite = false;
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
  t.device = open_device_noted(o.device);
  t.config.precision = t.device->precision();
  return t;
}

// A new run takes the place of nothing that an earlier one made.
void check_nothing_is_lost(const TrainCommand& o) {
  const auto checkpoint = train::checkpoint_path(o.output);
  const bool there = std::filesystem::exists(checkpoint);
  if (there && !o.resume && !o.overwrite) {
    std::optional<train::RunProgress> run;
    try {
      run = train::read_progress(checkpoint);
    } catch (const Error&) {
    }
    GRAFT_CHECK(run, "{} is there and cannot be read as the checkpoint of a run: --overwrite replaces it",
                checkpoint.string());
    GRAFT_CHECK(run->epochs_done >= run->epochs,
                "{} is there from a run that is not finished, {} of {}: --resume goes on with it, --overwrite begins "
                "again",
                checkpoint.string(), run->epochs_done, counted(run->epochs, "epoch"));
  }
  check_replaceable(o.output, {o.from}, o.overwrite || (o.resume && there));
}

std::string command_to_resume(const TrainCommand& o) {
  auto arguments = o.line->arguments;
  std::erase(arguments, "--overwrite");
  if (!o.resume) arguments.push_back("--resume");
  return command_line(arguments);
}

// A run that diverged meets the same step again when it is resumed: the loss was computed before any learning rate. It
// has to go back to weights that were good, or to the start, and move more slowly.
std::string command_after_divergence(const TrainCommand& o, const train::TrainOptions& t, bool from_best) {
  auto arguments = with_option(o.line->arguments, {"--lr"}, fmt::format("{:g}", t.config.learning_rate / 10));
  std::erase(arguments, "--resume");
  if (!from_best) {
    if (!o.overwrite) arguments.push_back("--overwrite");
    return command_line(arguments);
  }
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
          {"gradient_bytes", r.gradient_bytes},
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
      as_bytes_text(r.frozen_packed_bytes + r.frozen_arena_bytes), as_bytes_text(r.step_arena_bytes + r.gradient_bytes),
      t.device->name(), t.device->description());
  say("{}, batch {}, {} with learning rate {:g}, seed {}\n", counted(c.epochs, "epoch"), c.batch,
      c.optimizer == train::OptimizerKind::adamw ? "AdamW" : "SGD", c.learning_rate, c.seed);
  say("files: {} (the best epoch's model), {} (to go on from), {}\n\n", t.output.string(),
      train::checkpoint_path(t.output).string(), log_path(t.output).string());
  flush_output();
}

void print_end(const TrainCommand& o, const train::TrainOptions& t, const train::TrainOutcome& outcome) {
  const auto& best = outcome.history.at(static_cast<size_t>(outcome.best_epoch - 1));
  say("\nbest: epoch {}, validation accuracy {}, written to {}\n", best.epoch, as_percent(best.validation_accuracy),
      t.output.string());
  const std::string output = shell_quoted(t.output.string());
  say("next{}:\n  graft predict {} PHOTO\n  graft evaluate {} {}\n",
      t.config.given_split ? "" : " (to evaluate, photos that it was not trained on tell more)", output, output,
      shell_quoted((t.config.given_split ? t.validation->root : o.folder).string()));
  if (o.scratch.empty() && t.config.train == std::vector<std::string>{t.model.graph.head})
    say("  graft train {} --from {} --train '*' -o {}  # trains all of it, from here\n",
        shell_quoted(o.folder.string()), output,
        shell_quoted(
            std::filesystem::path(t.output).replace_extension(".all" + t.output.extension().string()).string()));
}

int report_end(const TrainCommand& o, const train::TrainOptions& t, const train::TrainOutcome& outcome) {
  const auto checkpoint = train::checkpoint_path(t.output).string();
  switch (outcome.end) {
    case train::TrainEnd::finished:
      if (!o.report.json && !o.report.quiet) print_end(o, t, outcome);
      return kDone;
    case train::TrainEnd::interrupted:
      note("interrupted: saved {} after {} of {}; go on with: {}", checkpoint, outcome.history.size(),
           counted(t.config.epochs, "epoch"), command_to_resume(o));
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
  if (o.config.nesterov && (o.config.optimizer != train::OptimizerKind::sgd || o.config.momentum == 0))
    wrong_use("--nesterov is a kind of momentum: it needs --optimizer sgd, and a --momentum above 0");
  if (o.output.empty()) {
    const auto folder = std::filesystem::absolute(o.folder / "").parent_path().lexically_normal();
    o.output = folder.filename().concat(".h5");
  }
  check_output(o.output);
  if (o.output.extension().empty()) o.output += ".h5";
  check_nothing_is_lost(o);

  const auto& stop = watch_for_stop();
  train::RunRequest request{
      .photos = o.folder, .from = o.from, .scratch = o.scratch, .config = o.config, .learning_rate = o.learning_rate};
  request.config.augment = !o.no_augment;
  const train::RunSetup setup = train::set_up(request);
  auto options = make_options(o, setup);
  options.stop = &stop;
  train::Trainer trainer(options);
  const auto plan = trainer.report();

  const bool done_already =
      options.resume && !o.report.json && static_cast<int64_t>(trainer.state().history.size()) >= options.config.epochs;
  if (done_already)
    say("{} was finished already, {}: there is nothing to do\n"
        "to train further, start from it: graft train {} --from {} -o OUT.h5\n",
        o.output.string(), counted(options.config.epochs, "epoch"), shell_quoted(o.folder.string()),
        shell_quoted(o.output.string()));
  trainer.begin();
  if (!done_already && !o.report.json && !o.report.quiet) print_start(o, options, plan);
  TrainReport report(options.output, o.report, options.resume ? &trainer.state() : nullptr);
  report.start(start_event(options, plan, trainer.state().history.size()));
  for (const io::SkippedFile& s : setup.train.skipped) report.skipped(s);
  for (const io::SkippedFile& s : setup.validation.skipped) report.skipped(s);
  if (done_already) {  // a kill between the last checkpoint and the last line of the log leaves the line to write
    report.end(trainer.run({}));
    return kDone;
  }
  for (const train::EpochRecord& r : trainer.state().history)
    report.epoch(r, {}, r.epoch == trainer.state().best_epoch);

  try {
    const auto outcome = trainer.run({
        .progress = [&](const train::TrainProgress& p) { report.progress(p); },
        .epoch = [&](const train::EpochRecord& r, double seconds, bool best) { report.epoch(r, seconds, best); },
        .skipped = [&](const io::SkippedFile& s) { report.skipped(s); },
    });
    report.end(outcome);
    return report_end(o, options, outcome);
  } catch (const DeviceError& e) {  // nothing is saved now: the device's memory may be anything
    fail("in epoch {}, after {} of its photos: {}\n{} is whole, as it was last saved; go on with: {}",
         trainer.state().history.size() + 1, with_commas(trainer.state().sums.images), e.what(),
         train::checkpoint_path(options.output).string(), command_to_resume(o));
  }
}

void add_what(CLI::App& app, TrainCommand& o) {
  app.add_option("DIR", o.folder, "A folder of photos for each class; or train/ and val/ with such folders")
      ->required();
  with_placeholder(app.add_option("--from", o.from, "The model file to start from"), "MODEL.h5");
  with_placeholder(app.add_option("--scratch", o.scratch,
                                  "Or a network, as `graft models` lists them: its weights are drawn at random"),
                   "NAME");
  with_placeholder(add_output(app, o.output, "The model file to write"), "OUT.h5", "the folder's name with .h5, here");
  auto* freeze =
      add_patterns(app, "--freeze", o.config.freeze, "Layers that keep their weights: names, with *, ? and []");
  with_placeholder(add_patterns(app, "--train", o.config.train, "Layers that train, and no others; '*' is all"),
                   "PATTERN", "the head")
      ->excludes(freeze);
  auto* resume = app.add_flag("--resume", o.resume, "Go on from the last checkpoint, with all settings as they were");
  add_overwrite(app, o.overwrite)
      ->description("Begin again: replace a run and a trained model that are there")
      ->excludes(resume);
}

void add_how(CLI::App& app, TrainCommand& o) {
  train::TrainConfig& c = o.config;
  constexpr double kMany = 1e12;
  const auto group = [&](CLI::Option* option) {
    option->group("How it learns");
    return option;
  };
  group(add_number(app, "--epochs", c.epochs, {1, 1'000'000}, "Times that every photo is seen"));
  group(add_batch(app, c.batch, "Photos in a step"));
  group(with_placeholder(add_number(app, "--micro-batch", c.micro_batch, {0, kMany},
                                    "Compute so many photos of a step together, where memory is short"),
                         "N", "the batch"));
  group(add_number(app, "--seed", c.seed, {0, kMany}, "Of the split, the order, the new head, dropout"));
  group(add_choice<train::OptimizerKind>(app, "--optimizer", c.optimizer,
                                         {{"sgd", train::OptimizerKind::sgd}, {"adamw", train::OptimizerKind::adamw}},
                                         "How the weights move"));
  group(with_placeholder(add_number(app, "--lr", o.learning_rate, {0, 1e6}, "Learning rate"), "N",
                         "3e-3 for a head, 1e-4 where a trunk trains, 1e-3 from scratch; sgd: 3e-2, 1e-3, 5e-2"));
  group(add_number(app, "--weight-decay", c.weight_decay, {0, 1e6}, "Not on biases and norms"));
  group(add_number(app, "--momentum", c.momentum, {0, 1}, "Of sgd"));
  group(app.add_flag("--nesterov", c.nesterov, "Nesterov's momentum, with sgd"));
  group(add_number(app, "--beta1", c.beta1, {0, 0.9999999}, "Of adamw"));
  group(add_number(app, "--beta2", c.beta2, {0, 0.9999999}, "Of adamw"));
  group(add_number(app, "--eps", c.eps, {0, 1}, "Of adamw"));
  group(with_placeholder(
      add_number(app, "--clip-norm", c.clip_norm, {0, kMany}, "Shorten gradients that are longer than this, together"),
      "NORM", "off"));
  group(with_placeholder(add_number(app, "--ema", c.ema, {0, 0.9999999},
                                    "Validate and save an average of the weights with this decay, 0.999 say"),
                         "DECAY", "off"));
  group(add_choice<train::ScheduleKind>(app, "--schedule", c.schedule,
                                        {{"constant", train::ScheduleKind::constant},
                                         {"cosine", train::ScheduleKind::cosine},
                                         {"step", train::ScheduleKind::step}},
                                        "How the learning rate falls"));
  group(add_number(app, "--warmup", c.warmup_steps, {0, kMany}, "Steps in which the learning rate grows to its value"));
  group(add_number(app, "--step-epochs", c.step_epochs, {1, kMany}, "Schedule step: epochs until the rate drops"));
  group(add_number(app, "--step-factor", c.step_factor, {0, 1}, "Schedule step: what the rate is multiplied by"));
  group(add_number(app, "--label-smoothing", c.label_smoothing, {0, 1},
                   "Share of the target that is spread over all classes"));
  group(app.add_flag("--no-augment", o.no_augment, "No random crops and flips"));
  group(add_number(app, "--min-crop", c.min_crop_area, {1e-3, 1}, "Smallest random crop, as a share of the photo"));
  group(add_number(app, "--validation", c.validation_fraction, {0.01, 0.9},
                   "Share of each class kept for validation where DIR has no val/"));
}

}  // namespace

void add_train(CommandLine& line) {
  auto [app, o] = add_command(line, "train", "Teach a network to tell the folders of a data set apart",
                              "graft train photos/ --from lite0.h5 -o pets.h5\n"
                              "graft train photos/ --from resnet18.h5 --train 'layer4*' fc --epochs 10\n"
                              "graft train photos/ --from lite0.h5 -o pets.h5 --resume\n"
                              "graft train cifar/ --scratch resnet20 --epochs 30 --batch 128",
                              train_command);
  o.line = &line;
  add_what(app, o);
  add_how(app, o);
  add_number(app, "--checkpoint-seconds", o.checkpoint_seconds, {0, 86'400},
             "Least time between two checkpoints; 0: after every step")
      ->type_name("SECONDS");
  with_placeholder(add_number(app, "--loader-threads", o.loader_threads, {0, 256}, "Threads that read photos ahead"),
                   "N", "one for each processor, 8 at most");
  add_device_options(app, o.device);
  add_report_options(app, o.report);
}

}  // namespace graft::tools
