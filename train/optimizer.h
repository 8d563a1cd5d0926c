// SGD and AdamW over the parameters that train. A step is recorded with the rest of the training step and runs on the
// device.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "models/network.h"
#include "train/config.h"

namespace graft::train {

struct TrainedParameter {
  std::string name;
  Tensor tensor;
  bool decays = true;  // weights do, biases and the parameters of norms do not
};

// Those of the network that require a gradient, in its order.
std::vector<TrainedParameter> trained_parameters(const models::Network& network);

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
  Optimizer(const TrainConfig& config, std::vector<TrainedParameter> parameters);

  // One step; gradients in the order of the parameters. May be recorded.
  void step(const std::vector<Tensor>& gradients, const StepState& state) const;

  const std::vector<TrainedParameter>& parameters() const { return parameters_; }

  // What has to be saved beside the parameters: "momentum/fc.weight" and the like, zeros at first.
  const std::map<std::string, Tensor>& buffers() const { return buffers_; }

 private:
  Tensor buffer(const char* kind, const TrainedParameter& p) const;

  TrainConfig config_;
  std::vector<TrainedParameter> parameters_;
  std::map<std::string, Tensor> buffers_;
};

}  // namespace graft::train
