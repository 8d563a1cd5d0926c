// Trains a network on photos: what is frozen is compiled, what trains is planned, and where the run stands is kept on
// disk.
//
// Files: `output` is the whole network of the best epoch so far (validation accuracy, then loss), its weights averaged
// if the configuration says so, as they were when they were validated; `output` with .last
// before its extension is the checkpoint of where the run is, written at its start, at most every `checkpoint_seconds`
// and at the end. So the checkpoint is always of the run that wrote `output` last, or of a later one.
#pragma once
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>

#include "io/loader.h"
#include "train/checkpoint.h"
#include "train/model_file.h"
#include "train/scion.h"

namespace graft::train {

struct TrainOptions {
  std::shared_ptr<Device> device;
  ModelInfo model;                        // the network to train, with the data set's classes
  std::shared_ptr<const ModelFile> from;  // its weights; nullptr: from scratch
  const io::Dataset* train = nullptr;     // both outlive the trainer
  const io::Dataset* validation = nullptr;
  TrainConfig config;
  std::filesystem::path output;
  bool resume = false;
  int loader_threads = 2;
  double checkpoint_seconds = 10;
  const std::atomic<bool>* stop = nullptr;  // raised: end the step, save, return
};

struct TrainProgress {
  const char* phase;  // "train", "validate"
  int64_t epoch, epochs;
  int64_t images, of_images;  // in this phase of this epoch
  double loss, accuracy;      // so far
};

struct TrainEvents {
  std::function<void(const TrainProgress&)> progress;
  std::function<void(const EpochRecord&, double seconds, bool best)> epoch;
  std::function<void(const io::SkippedFile&)> skipped;  // once for each photo of either half
};

enum class TrainEnd { finished, interrupted, diverged };
enum class DivergedIn { training, validation };  // in training: a loss or a gradient

struct TrainOutcome {
  TrainEnd end = TrainEnd::finished;
  std::vector<EpochRecord> history;
  int64_t best_epoch = 0;
  DivergedIn diverged_in = DivergedIn::training;
  int64_t diverged_step = 0;  // the step that did not happen; in validation: the last one that did
};

// What one step needs, for `graft inspect` and for the first lines of a run.
struct TrainPlanReport {
  int64_t trained_parameters = 0, frozen_parameters = 0;
  int64_t frozen_packed_bytes = 0, frozen_arena_bytes = 0;
  int64_t step_arena_bytes = 0, step_lower_bound_bytes = 0;
  int64_t gradient_bytes = 0;  // beside the arena: they lie where the parameters' optimiser finds them
};

class Trainer {
 public:
  // Loads weights, draws the missing ones, plans, and with `resume` goes to where the checkpoint was. Throws Error.
  explicit Trainer(TrainOptions options);
  ~Trainer();

  TrainPlanReport report();
  const RunState& state() const { return state_; }  // where it is: after what was resumed, between two runs

  // Makes the place on disk this run's: unless it was resumed, its checkpoint takes the place of what was there. run()
  // does it where the caller has not; one that keeps files of its own beside the output touches them after this.
  void begin();
  TrainOutcome run(const TrainEvents& events);

 private:
  struct Parts;
  bool train_epoch(const TrainEvents& events);   // false: stopped inside it
  bool finish_epoch(const TrainEvents& events);  // the same
  bool finish_steps(size_t left, const TrainEvents& events);
  static void report_skipped(const io::Batch& batch, std::set<std::string>& known, const TrainEvents& events);
  bool save_is_due() const;
  void save();  // while no step is under way
  void write_output();
  bool stop_requested() const { return options_.stop && options_.stop->load(); }

  TrainOptions options_;
  std::unique_ptr<Parts> parts_;
  RunState state_;
  bool begun_ = false;
  TrainOutcome outcome_;
};

// True where the head in the file must be replaced because its classes are others.
bool needs_new_head(const ModelInfo& model, const std::vector<std::string>& classes);

// The model with a head for these classes; its weights are drawn by the trainer.
ModelInfo for_classes(ModelInfo model, std::vector<std::string> classes);

}  // namespace graft::train
