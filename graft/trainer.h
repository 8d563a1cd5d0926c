// Grows a new classifier on a trained network.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graft/error.h"
#include "graft/options.h"

namespace graft {

enum class Optimizer { sgd, adamw };
enum class Schedule { constant, cosine, step };  // of the learning rate, after the warm-up

struct TrainSettings {
  // Patterns on layer names ("layer[1-3]", "*.bn*"): what is frozen, or else what trains. Neither: the trunk is frozen,
  // the head trains.
  std::vector<std::string> freeze, train;
  int64_t epochs = 8;
  int64_t batch = 16;
  int64_t micro_batch = 0;  // photos of a step that are computed together, where memory is short; 0: the batch
  Optimizer optimizer = Optimizer::adamw;
  // Default: 3e-3 for a head alone, 1e-4 when a trained trunk moves; with SGD ten times that.
  std::optional<double> learning_rate;
  double weight_decay = 1e-4;  // not on biases and norms
  double momentum = 0.9;       // SGD's
  bool nesterov = false;
  double clip_norm = 0;  // longer gradients, all together, are shortened to it; 0: none is
  double ema = 0;        // decay (0.999, say) of an average of the weights, validated and saved in their place; 0: none
  Schedule schedule = Schedule::cosine;
  int64_t warmup_steps = 0;  // in which the learning rate grows to its value
  int64_t step_epochs = 30;  // Schedule::step: every so many epochs …
  double step_factor = 0.1;  // … times this
  double label_smoothing = 0;
  bool augment = true;               // random crops and flips
  double min_crop = 0.25;            // smallest random crop, as a share of the photo
  double validation_fraction = 0.2;  // of each class, where the photos are not divided
  uint64_t seed = 0;                 // the same seed on the same machine gives the same bytes
  bool resume = false;               // go on from the checkpoint beside the output, if there is one
  double checkpoint_seconds = 10;    // least time between two checkpoints; 0: after every step
};

struct EpochReport {
  int64_t epoch = 0;  // from 1
  double train_loss = 0, train_accuracy = 0, validation_loss = 0, validation_accuracy = 0, seconds = 0;
  bool best = false;  // the output file now holds this epoch
};

struct SkippedPhoto {
  std::string file, reason;
};

struct TrainResult {
  std::vector<EpochReport> epochs;  // those of this call
  int64_t best_epoch = 0;
  double best_accuracy = 0;           // on the validation photos
  bool finished = true;               // false: stopped by the callback; `resume` goes on
  std::vector<SkippedPhoto> skipped;  // files that were left out, once each; also those of the run that was resumed
};

class Trainer {
 public:
  // `model` is a graft file; `photos` a folder with one folder for each class, divided into train/ and val/ or not.
  Trainer(const std::filesystem::path& model, const std::filesystem::path& photos, const TrainSettings& settings = {},
          const DeviceOptions& device = {});
  ~Trainer();
  Trainer(Trainer&&) noexcept;

  // Trains, and writes the network of the best epoch to `output` (and a checkpoint beside it, to resume from). Without
  // `resume` both take the place of what an earlier run left there; never that of `model`, which is an Error. on_epoch
  // may return false to stop. Throws Error; also when the loss becomes infinite or NaN. Then `output` is the best
  // epoch's network, or, before there was one, that of the last finite step, and resuming would lead to the same step.
  TrainResult run(const std::filesystem::path& output, const std::function<bool(const EpochReport&)>& on_epoch = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace graft
