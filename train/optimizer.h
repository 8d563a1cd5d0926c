// SGD and AdamW over the parameters that train, clipping of their gradients, and the average of the weights. A step is
// recorded with the rest of the training step and runs on the device.
#pragma once
#include <map>
#include <optional>
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
  // `parameters` outlive it, and have the values that an average begins with.
  Optimizer(const TrainConfig& config, const FlatParameters& parameters);

  // Looks at the gradients that lie in the parameters' memory for them: one that is not finite raises the flag. Where
  // they are clipped, this finds by how much.
  void check_gradients(const StepState& state) const;
  // One step by them; a call for each group. May be recorded, as the check may.
  void step(const StepState& state) const;

  const FlatParameters& parameters() const { return parameters_; }

  // The network with the averages of its weights in their places, which follow them from step to step; everything else,
  // running statistics too, is shared. Nothing where no average is made.
  std::optional<models::Network> averaged(const models::Network& network) const;

  // What has to be saved beside the parameters: "momentum/fc.weight" and the like, zeros at first, "average/fc.weight".
  std::map<std::string, Tensor> buffers() const;

 private:
  TrainConfig config_;
  const FlatParameters& parameters_;
  std::map<std::string, Tensor> state_;  // "momentum", or "exp_avg" and "exp_avg_sq"; "average"; each flat
  Tensor norm_, factor_;                 // [1], of the gradients; undefined: they are not clipped
};

}  // namespace graft::train
