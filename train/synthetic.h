// Training steps and answers on made-up images that lie on the device: what a network costs, without reading photos.
// Weights are drawn; the parts are the Trainer's own.
#pragma once
#include <memory>
#include <vector>

#include "train/scion.h"

namespace graft::train {

class SyntheticTraining {
 public:
  // SGD with momentum on batches of `batch` images of the graph's own size.
  SyntheticTraining(models::Graph graph, const std::shared_ptr<Device>& device, int64_t batch,
                    const models::FreezePatterns& patterns);

  double step();  // returns the loss

  int64_t trained_parameters() const;

 private:
  models::Graph graph_;
  models::FreezePlan freeze_;
  TrainConfig config_;
  models::Network network_;
  FlatParameters parameters_;
  Optimizer optimizer_;
  StepState state_;
  Rootstock rootstock_;
  Scion scion_;
  std::vector<int64_t> labels_;
};

class SyntheticPrediction {
 public:
  SyntheticPrediction(const models::Graph& graph, const std::shared_ptr<Device>& device, int64_t batch);

  void run() const;  // returns when the work is given to the device
  std::vector<float> logits() const { return logits_.to_vector<float>(); }

 private:
  std::unique_ptr<models::CompiledPiece> piece_;
  Tensor images_, logits_;
};

}  // namespace graft::train
