// Everything that can change what a training run gives, and nothing else: no threads, paths, progress or resume
// history. Stored in the file it makes, so the run can be repeated.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/precision.h"

namespace graft::train {

enum class OptimizerKind { sgd, adamw };
enum class ScheduleKind { constant, cosine, step };

struct TrainConfig {
  std::string model;    // the network's name
  std::string dataset;  // its content hash (io/dataset.h)
  std::string trunk;    // hash of the network, preprocessing and weights it starts from; empty: from scratch
  std::vector<std::string> classes;
  std::vector<std::string> freeze, train;  // patterns on layer names
  uint64_t seed = 0;
  int64_t epochs = 8;
  int64_t batch = 16;
  // Images computed together, where a whole batch has no room: gradients of the parts are added up before a step. Batch
  // norms see the part. 0: the batch
  int64_t micro_batch = 0;
  Precision precision = Precision::f32;  // what the device computes in

  OptimizerKind optimizer = OptimizerKind::adamw;
  double learning_rate = 3e-3;
  double momentum = 0.9;  // sgd
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  // adamw
  double weight_decay = 1e-4;                     // not on biases and norms
  double clip_norm = 0;                           // longer gradients, all together, are shortened to it; 0: none is
  double ema = 0;  // decay of the average of the weights that is validated and saved; 0: the weights themselves are

  ScheduleKind schedule = ScheduleKind::cosine;
  int64_t warmup_steps = 0;
  int64_t step_epochs = 30;  // step: every so many epochs …
  double step_factor = 0.1;  // … times this

  double label_smoothing = 0;
  bool augment = true;
  double min_crop_area = 0.25;       // of random resized crops; 0.08 is usual for large sets
  double validation_fraction = 0.2;  // where the data set has no validation folder
  bool given_split = false;          // the data set came divided into training and validation

  friend bool operator==(const TrainConfig&, const TrainConfig&) = default;
};

// Throws Error for values no run can have.
void check(const TrainConfig& config);

std::string to_json(const TrainConfig& config);
TrainConfig config_from_json(std::string_view text, std::string_view source);

// "batch 16 there, 32 here": what differs, a line each; empty when nothing does.
std::string differences(const TrainConfig& there, const TrainConfig& here);

}  // namespace graft::train
