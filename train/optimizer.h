// SGD and AdamW over the parameters that train. A step is recorded with the rest of the training step and runs on the
// device.
#pragma once
#include <map>
#include <string>

#include "train/config.h"
#include "train/flat_parameters.h"

namespace graft::train {

// What all calls of a step share, in device memory.
struct StepState {
  explicit StepState(const std::shared_ptr<Device>& device, uint64_t seed);

  Tensor learning_rate;  // f64 [1]
  Tensor step;           // i64 [1], finished steps
  Tensor flag;           // i64 [1], up once a loss or gradient was not finite; nothing moves while it is up
  Tensor random_state;   // i64 [2], seed and offset
};

class Optimizer {
 public:
  Optimizer(const TrainConfig& config, const FlatParameters& parameters);  // which outlive it

  // One step by the gradients that lie in the parameters' memory for them; a call for each group. May be recorded.
  void step(const StepState& state) const;

  const FlatParameters& parameters() const { return parameters_; }

  // What has to be saved beside the parameters: "momentum/fc.weight" and the like, zeros at first.
  std::map<std::string, Tensor> buffers() const;

 private:
  TrainConfig config_;
  const FlatParameters& parameters_;
  std::map<std::string, Tensor> state_;  // "momentum", or "exp_avg" and "exp_avg_sq"; each flat
};

}  // namespace graft::train
