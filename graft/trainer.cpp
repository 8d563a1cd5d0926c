#include "graft/trainer.h"

#include <algorithm>
#include <atomic>

#include "core/error.h"
#include "core/usable_cpus.h"
#include "graft/open_device.h"
#include "train/setup.h"
#include "train/trainer.h"

namespace graft {

namespace {

train::OptimizerKind kind_of(Optimizer o) {
  return o == Optimizer::sgd ? train::OptimizerKind::sgd : train::OptimizerKind::adamw;
}
train::ScheduleKind kind_of(Schedule s) {
  switch (s) {
    case Schedule::constant:
      return train::ScheduleKind::constant;
    case Schedule::cosine:
      return train::ScheduleKind::cosine;
    case Schedule::step:
      return train::ScheduleKind::step;
  }
  fail("there is no schedule number {}", static_cast<int>(s));
}

train::TrainConfig config_of(const TrainSettings& s) {
  return {.freeze = s.freeze,
          .train = s.train,
          .seed = s.seed,
          .epochs = s.epochs,
          .batch = s.batch,
          .micro_batch = s.micro_batch,
          .optimizer = kind_of(s.optimizer),
          .momentum = s.momentum,
          .nesterov = s.nesterov,
          .weight_decay = s.weight_decay,
          .clip_norm = s.clip_norm,
          .ema = s.ema,
          .schedule = kind_of(s.schedule),
          .warmup_steps = s.warmup_steps,
          .step_epochs = s.step_epochs,
          .step_factor = s.step_factor,
          .label_smoothing = s.label_smoothing,
          .augment = s.augment,
          .min_crop_area = s.min_crop,
          .validation_fraction = s.validation_fraction};
}

}  // namespace

struct Trainer::State {
  std::shared_ptr<Device> device;
  train::RunSetup setup;
  bool resume = false;
  double checkpoint_seconds = 0;
  int threads = 0;
};

Trainer::Trainer(const std::filesystem::path& model, const std::filesystem::path& photos, const TrainSettings& settings,
                 const DeviceOptions& device)
    : state_(std::make_unique<State>()) {
  // The defaults of the public face are those of `graft train`.
  GRAFT_ASSERT(config_of({}) == train::TrainConfig{});
  state_->setup = train::set_up(
      {.photos = photos, .from = model, .config = config_of(settings), .learning_rate = settings.learning_rate});
  state_->device = open_device(device);
  state_->setup.config.precision = state_->device->precision();
  state_->resume = settings.resume;
  GRAFT_CHECK(settings.checkpoint_seconds >= 0, "checkpoint_seconds is {}; give 0 or more",
              settings.checkpoint_seconds);
  state_->checkpoint_seconds = settings.checkpoint_seconds;
  state_->threads = device.threads;
}

Trainer::~Trainer() = default;
Trainer::Trainer(Trainer&&) noexcept = default;

TrainResult Trainer::run(const std::filesystem::path& output, const std::function<bool(const EpochReport&)>& on_epoch) {
  const train::RunSetup& setup = state_->setup;
  std::atomic<bool> stop{false};
  train::Trainer trainer({.device = state_->device,
                          .model = setup.model,
                          .from = setup.from,
                          .train = &setup.train,
                          .validation = &setup.validation,
                          .config = setup.config,
                          .output = output,
                          .resume = state_->resume,
                          .loader_threads = state_->threads > 0 ? state_->threads : std::min(usable_cpus(), 8),
                          .checkpoint_seconds = state_->checkpoint_seconds,
                          .stop = &stop});
  TrainResult result;
  const auto skip = [&](const io::SkippedFile& s) { result.skipped.push_back({s.file, s.reason}); };
  for (const io::Dataset* half : {&setup.train, &setup.validation})
    std::for_each(half->skipped.begin(), half->skipped.end(), skip);
  for (const auto* half : {&trainer.state().skipped_train, &trainer.state().skipped_validation})
    for (const std::string& file : *half) skip({file, "could not be read"});
  train::TrainEvents events;
  events.skipped = skip;
  events.epoch = [&](const train::EpochRecord& e, double seconds, bool best) {
    result.epochs.push_back(
        {e.epoch, e.train_loss, e.train_accuracy, e.validation_loss, e.validation_accuracy, seconds, best});
    if (on_epoch && !on_epoch(result.epochs.back())) stop = true;
  };
  const train::TrainOutcome outcome = trainer.run(events);
  GRAFT_CHECK(
      outcome.end != train::TrainEnd::diverged,
      "{} became infinite or NaN at step {}; {} holds the weights of {}. Resuming would lead to the same step: begin "
      "{} with a lower learning rate than {}",
      outcome.diverged_in == train::DivergedIn::training ? "the training loss or a gradient" : "the validation loss",
      outcome.diverged_step, output.string(), outcome.best_epoch > 0 ? "the best epoch" : "the last finite step",
      outcome.best_epoch > 0 ? "at that model" : "again", setup.config.learning_rate);
  result.finished = outcome.end == train::TrainEnd::finished;
  result.best_epoch = outcome.best_epoch;
  if (outcome.best_epoch > 0)
    result.best_accuracy = outcome.history[static_cast<size_t>(outcome.best_epoch - 1)].validation_accuracy;
  return result;
}

}  // namespace graft
