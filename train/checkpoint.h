// Where a run stands, on disk: what trains, the optimiser's state, the counters of the device, the place in the data,
// the best so far. With the file the run started from (its trunk is named by hash) this is enough to go on bit for bit.
#pragma once
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "io/loader.h"
#include "models/freeze.h"
#include "models/network.h"
#include "train/metrics.h"
#include "train/optimizer.h"

namespace graft::train {

// One finished epoch. No times: the same run leaves the same bytes.
struct EpochRecord {
  int64_t epoch = 0;  // from 1
  double train_loss = 0, train_accuracy = 0, validation_loss = 0, validation_accuracy = 0, learning_rate = 0;
};

// The host's part of the state.
struct RunState {
  io::LoaderState loader;
  Metrics::Sums sums;  // of the epoch under way
  std::vector<EpochRecord> history;
  int64_t best_epoch = 0;                                   // 0: none yet
  std::set<std::string> skipped_train, skipped_validation;  // photos that could not be read, by the data set's names
};

// The file beside a model that is being trained: pets.h5 → pets.last.h5
std::filesystem::path checkpoint_path(const std::filesystem::path& output);

void save_checkpoint(const std::filesystem::path& path, const TrainConfig& config, const RunState& state,
                     const models::Network& network, const models::FreezePlan& freeze, const Optimizer& optimizer,
                     const StepState& step);

// Throws Error when the file is damaged or belongs to a run with other settings; then nothing is changed.
RunState load_checkpoint(const std::filesystem::path& path, const TrainConfig& config, models::Network& network,
                         const models::FreezePlan& freeze, const Optimizer& optimizer, const StepState& step);

// How far the run of a checkpoint is. Throws Error.
struct RunProgress {
  int64_t epochs_done = 0, epochs = 0;
};
RunProgress read_progress(const std::filesystem::path& path);

// The text of a checkpoint that says what its run is.
inline constexpr const char* kCheckpointConfig = "training/config";

}  // namespace graft::train
