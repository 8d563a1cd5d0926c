#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "io/staged_file.h"
#include "models/freeze.h"
#include "train/initialise.h"
#include "train/made_by.h"
#include "train/schedule.h"
#include "train/step_memory.h"
#include "train/step_queue.h"

namespace graft::train {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The largest batch that occurs. The frozen part computes this many photos, however few a step has.
int64_t largest_batch(const TrainOptions& o) {
  return std::min(o.config.batch,
                  static_cast<int64_t>(std::max(o.train->samples.size(), o.validation->samples.size())));
}

io::LoaderOptions loader_options(const TrainOptions& o, bool training) {
  io::LoaderOptions l;
  l.preprocessing = o.model.preprocessing;
  if (training && o.config.augment)
    l.augmentation = io::Augmentation{.min_area = static_cast<float>(o.config.min_crop_area)};
  l.batch = static_cast<int>(largest_batch(o));
  l.threads = o.loader_threads;
  l.shuffle = training;
  l.seed = o.config.seed;
  return l;
}

// The schedule goes by the place in the data: an epoch has as many steps for it whether or not all photos can be read.
int64_t place_in_schedule(io::LoaderState at, int64_t batch, int64_t steps_per_epoch) {
  return static_cast<int64_t>(at.epoch) * steps_per_epoch + static_cast<int64_t>(at.next) / batch;
}

// What is frozen keeps the weights it has: it must have some.
void check_frozen_has_weights(const TrainOptions& o) {
  const auto freeze = models::plan_freeze(o.model.graph, {o.config.freeze, o.config.train});
  const bool new_head = o.from && needs_new_head(o.from->info(), o.model.classes);
  const auto all = models::parameters_of(o.model.graph);
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].is_buffer || freeze.trainable[i]) continue;
    GRAFT_CHECK(o.from, "{} is frozen, but a network that is trained from scratch has nothing worth keeping",
                all[i].name);
    GRAFT_CHECK(!new_head || !all[i].name.starts_with(o.model.graph.head + "."),
                "{} is frozen, but the classes are new and so is the layer {}: let it train, with --train '{}' or more",
                all[i].name, o.model.graph.head, o.model.graph.head);
  }
}

}  // namespace

// Members in the order in which they need one another.
struct Trainer::Parts {
  Parts(const TrainOptions& o)
      : freeze(models::plan_freeze(o.model.graph, {o.config.freeze, o.config.train})),
        network(o.model.graph, o.device, DType::f32, freeze.above()),
        parameters(prepare_parameters(o)),
        optimizer(o.config, parameters),
        step(o.device, o.config.seed),
        rootstock(o.model.graph, freeze, o.device, largest_batch(o), o.model.preprocessing.crop,
                  o.model.preprocessing.crop, o.from ? o.from->reader() : models::ReadWeights{}),
        scion(network, freeze, rootstock, o.config, optimizer, step),
        steps(rootstock, scion, step),
        train_loader(*o.train, loader_options(o, true)),
        validation_loader(*o.validation, loader_options(o, false)) {}

  // Memory and weights for everything above the line, from the file or drawn; those that train are told to the tape.
  FlatParameters prepare_parameters(const TrainOptions& o) {
    network.require_gradients(freeze);
    FlatParameters trained(network);
    const auto from_file = [&](const models::Parameter& p) {
      if (!o.from || !o.from->contains(p.name)) return false;
      const std::string& head = o.model.graph.head;
      const bool in_head = !head.empty() && p.name.starts_with(head + ".");
      return !in_head || !needs_new_head(o.from->info(), o.model.classes);
    };
    for (const auto& entry : network.entries())
      if (from_file(entry.info)) network.set(entry.info.name, o.from->read_all(entry.info.name));
    initialise(network, o.config.seed, [&](const models::Parameter& p) { return !from_file(p); });
    return trained;
  }

  models::FreezePlan freeze;
  models::Network network;
  FlatParameters parameters;
  Optimizer optimizer;
  StepState step;
  Rootstock rootstock;
  Scion scion;
  StepQueue steps;
  io::Loader train_loader, validation_loader;
  Metrics training;
  Clock::time_point epoch_start = Clock::now(), last_save = Clock::now();
};

bool needs_new_head(const ModelInfo& model, const std::vector<std::string>& classes) {
  return model.classes != classes;
}

ModelInfo for_classes(ModelInfo model, std::vector<std::string> classes) {
  if (!needs_new_head(model, classes)) return model;
  model.graph = models::with_classes(std::move(model.graph), static_cast<int64_t>(classes.size()));
  model.classes = std::move(classes);
  return model;
}

Trainer::Trainer(TrainOptions options) : options_(std::move(options)) {
  check(options_.config);
  GRAFT_CHECK(options_.train && options_.validation && !options_.train->samples.empty(),
              "there are no photos to train on");
  GRAFT_CHECK(!options_.validation->samples.empty(), "there are no photos to validate on");
  GRAFT_CHECK(options_.model.preprocessing.crop > 0,
              "a network is trained on photos of one size; the model gives none");
  GRAFT_CHECK(options_.config.precision == options_.device->precision(),
              "the settings ask for {}, the device computes in {}", name_of(options_.config.precision),
              name_of(options_.device->precision()));
  std::error_code not_there;
  GRAFT_CHECK(!options_.from || !std::filesystem::equivalent(options_.from->path(), options_.output, not_there),
              "{}: the result would replace the model it starts from; give another name", options_.output.string());
  check_frozen_has_weights(options_);
  parts_ = std::make_unique<Parts>(options_);
  parts_->training = Metrics(static_cast<int64_t>(options_.config.classes.size()));
  for (const auto& file : {options_.output, checkpoint_path(options_.output)}) io::remove_abandoned_stages(file);
  if (options_.resume && std::filesystem::exists(checkpoint_path(options_.output))) {
    state_ = load_checkpoint(checkpoint_path(options_.output), options_.config, parts_->network, parts_->freeze,
                             parts_->optimizer, parts_->step);
    parts_->train_loader.restore(state_.loader);
    parts_->training.restore(state_.sums);
    begun_ = true;
  }
}

Trainer::~Trainer() = default;

TrainPlanReport Trainer::report() {
  TrainPlanReport r = count_parameters(options_.model.graph, parts_->freeze);
  if (const auto* compiled = parts_->rootstock.report()) {
    r.frozen_packed_bytes = compiled->packed_bytes;
    r.frozen_arena_bytes = compiled->arena_bytes;
  }
  const auto batch = std::min<int64_t>(options_.config.batch, static_cast<int64_t>(options_.train->samples.size()));
  r.step_arena_bytes = parts_->scion.statistics(batch).arena_bytes;
  r.step_lower_bound_bytes = parts_->scion.statistics(batch).lower_bound_bytes;
  r.gradient_bytes = parts_->scion.gradient_bytes();
  return r;
}

void Trainer::begin() {
  if (!begun_) save();  // else a kill before the first save would leave an earlier run's checkpoint to resume
  begun_ = true;
}

TrainOutcome Trainer::run(const TrainEvents& events) {
  begin();
  parts_->last_save = Clock::now();
  while (static_cast<int64_t>(state_.history.size()) < options_.config.epochs) {
    if (!train_epoch(events)) break;
    if (!finish_epoch(events)) break;
    if (stop_requested() && static_cast<int64_t>(state_.history.size()) < options_.config.epochs) {
      outcome_.end = TrainEnd::interrupted;
      break;
    }
  }
  if (outcome_.end == TrainEnd::diverged && state_.best_epoch == 0) write_output();
  save();
  outcome_.history = state_.history;
  outcome_.best_epoch = state_.best_epoch;
  return outcome_;
}

// Each photo once, not in every epoch, nor again after a resume.
void Trainer::report_skipped(const io::Batch& batch, std::set<std::string>& known, const TrainEvents& events) {
  for (const io::SkippedFile& s : batch.skipped)
    if (known.insert(s.file).second && events.skipped) events.skipped(s);
}

bool Trainer::train_epoch(const TrainEvents& events) {
  Parts& p = *parts_;
  p.epoch_start = Clock::now();
  const int64_t steps_per_epoch = p.train_loader.batches();
  io::Batch batch;
  while (true) {
    if (stop_requested()) {
      if (finish_steps(0, events)) outcome_.end = TrainEnd::interrupted;
      return false;
    }
    const int64_t place = place_in_schedule(p.train_loader.state(), options_.config.batch, steps_per_epoch);
    const bool more = p.train_loader.next(batch);
    report_skipped(batch, state_.skipped_train, events);
    if (!more) return finish_steps(0, events);
    p.steps.push(batch, learning_rate(options_.config, place, steps_per_epoch), p.train_loader.state());
    const bool save_now = save_is_due();  // what is saved is the state after all steps that were queued
    if (!finish_steps(save_now ? 0 : p.steps.depth() - 1, events)) return false;
    if (save_now) save();
  }
}

// Accounts for the oldest steps under way, until there are `left`. False: one of them diverged, and nothing has moved
// since the step before it.
bool Trainer::finish_steps(size_t left, const TrainEvents& events) {
  Parts& p = *parts_;
  while (p.steps.under_way() > left) {
    const StepQueue::Finished step = p.steps.pop();
    if (step.diverged) {
      while (p.steps.under_way() > 0) p.steps.pop();  // behind it the flag was up
      outcome_.end = TrainEnd::diverged;
      outcome_.diverged_step = static_cast<int64_t>(p.step.step.item()) + 1;
      return false;
    }
    p.training.add(step.result.logits, step.labels, step.result.loss);
    state_.loader = step.after;
    state_.sums = p.training.sums();
    if (events.progress)
      events.progress({"train", static_cast<int64_t>(state_.history.size()) + 1, options_.config.epochs,
                       p.training.images(), static_cast<int64_t>(options_.train->samples.size()), p.training.loss(),
                       p.training.top1()});
  }
  return true;
}

bool Trainer::finish_epoch(const TrainEvents& events) {
  Parts& p = *parts_;
  GRAFT_CHECK(p.training.images() > 0, "not one photo could be read; see the list of what was skipped");
  Metrics validation(static_cast<int64_t>(options_.config.classes.size()));
  io::Batch batch;
  for (bool more = true; more;) {
    if (stop_requested()) {  // the epoch has no record yet: whoever resumes validates again
      p.validation_loader.restore({});
      outcome_.end = TrainEnd::interrupted;
      return false;
    }
    more = p.validation_loader.next(batch);
    report_skipped(batch, state_.skipped_validation, events);
    if (!more) break;
    p.rootstock.run(batch.images.data(), batch.size);
    const auto result = p.scion.predict(batch.labels);
    validation.add(result.logits, batch.labels, result.loss);
    if (events.progress)
      events.progress({"validate", static_cast<int64_t>(state_.history.size()) + 1, options_.config.epochs,
                       validation.images(), static_cast<int64_t>(options_.validation->samples.size()),
                       validation.loss(), validation.top1()});
  }
  GRAFT_CHECK(validation.images() > 0, "not one photo of the validation set could be read");
  if (!std::isfinite(validation.loss())) {
    outcome_.end = TrainEnd::diverged;
    outcome_.diverged_in = DivergedIn::validation;
    outcome_.diverged_step = static_cast<int64_t>(p.step.step.item());
    return false;
  }

  const auto epoch = static_cast<int64_t>(state_.history.size()) + 1;
  const int64_t steps_per_epoch = p.train_loader.batches();
  EpochRecord record{.epoch = epoch,
                     .train_loss = p.training.loss(),
                     .train_accuracy = p.training.top1(),
                     .validation_loss = validation.loss(),
                     .validation_accuracy = validation.top1(),
                     .learning_rate = learning_rate(options_.config, epoch * steps_per_epoch - 1, steps_per_epoch)};
  const auto better = [](const EpochRecord& a, const EpochRecord& b) {
    return a.validation_accuracy != b.validation_accuracy ? a.validation_accuracy > b.validation_accuracy
                                                          : a.validation_loss < b.validation_loss;
  };
  const bool best =
      state_.best_epoch == 0 || better(record, state_.history[static_cast<size_t>(state_.best_epoch - 1)]);
  state_.history.push_back(record);
  if (best) {
    state_.best_epoch = record.epoch;
    write_output();
  }
  p.training = Metrics(static_cast<int64_t>(options_.config.classes.size()));
  state_.loader = p.train_loader.state();
  state_.sums = {};
  if (events.epoch) events.epoch(record, seconds_since(p.epoch_start), best);
  if (save_is_due()) save();
  return true;
}

bool Trainer::save_is_due() const { return seconds_since(parts_->last_save) >= options_.checkpoint_seconds; }

void Trainer::save() {
  Parts& p = *parts_;
  save_checkpoint(checkpoint_path(options_.output), options_.config, state_, p.network, p.freeze, p.optimizer, p.step);
  p.last_save = Clock::now();
}

void Trainer::write_output() {
  ModelInfo info = options_.model;
  info.training = to_json(options_.config);
  info.made_by = made_by(options_.device.get());
  io::GraftFileWriter writer(options_.output);
  const auto above = parts_->scion.answering().reader();
  write_model(writer, info, [&](const std::string& tensor, int64_t first, int64_t count, float* out) {
    if (parts_->network.has(tensor)) return above(tensor, first, count, out);
    options_.from->read(tensor, first, count, out);
  });
  writer.commit();
}

}  // namespace graft::train
