#include "graft/trainer.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "core/error.h"
#include "graft/open_device.h"
#include "train/setup.h"
#include "train/trainer.h"

namespace graft {

struct Trainer::State {
  std::shared_ptr<Device> device;
  train::RunSetup setup;
  bool resume = false;
  int threads = 0;
};

Trainer::Trainer(const std::filesystem::path& model, const std::filesystem::path& photos, const TrainSettings& settings,
                 const DeviceOptions& device)
    : state_(std::make_unique<State>()) {
  train::RunRequest request{.photos = photos, .from = model, .learning_rate = settings.learning_rate};
  train::TrainConfig& c = request.config;
  c.freeze = settings.freeze;
  c.train = settings.train;
  c.epochs = settings.epochs;
  c.batch = settings.batch;
  c.weight_decay = settings.weight_decay;
  c.label_smoothing = settings.label_smoothing;
  c.augment = settings.augment;
  c.seed = settings.seed;
  state_->setup = train::set_up(request);
  state_->device = open_device(device);
  state_->resume = settings.resume;
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
                          .loader_threads = state_->threads > 0 ? state_->threads
                                                                : static_cast<int>(std::clamp(
                                                                      std::thread::hardware_concurrency(), 1u, 8u)),
                          .stop = &stop});
  TrainResult result;
  train::TrainEvents events;
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
