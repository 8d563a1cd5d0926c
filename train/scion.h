// The scion: the part of a network above the graft line. A training step is recorded once for every number of images
// that occurs (a full batch, and the rest at the end of an epoch), and planned; after that it only executes. Where the
// configuration has micro-batches, the step computes them one after the other in the same memory, adds up their
// gradients, in f32, and moves the parameters once. Prediction runs on a piece compiled from the same parameters, or
// from their average where one is made; it packs them anew when a step has changed them.
#pragma once
#include <map>
#include <memory>
#include <optional>

#include "core/step_plan.h"
#include "models/compile.h"
#include "models/freeze.h"
#include "models/network.h"
#include "train/optimizer.h"
#include "train/rootstock.h"

namespace graft::train {

class Scion {
 public:
  // `network` holds the parameters above the line. All arguments outlive the scion.
  Scion(models::Network& network, const models::FreezePlan& freeze, const Rootstock& rootstock,
        const TrainConfig& config, const Optimizer& optimizer, StepState& state);

  struct Result {
    double loss = 0;
    std::vector<float> logits;  // [n, classes], before the step moved anything
  };

  // One step on the rootstock's first classes.size() images, which are of these classes. Nothing moves when it is not
  // finite: see StepState::flag.
  Result step(const std::vector<int64_t>& classes, double learning_rate);

  // What such a step executes: the loss and the logits are its results. Recorded now if it was not yet.
  StepPlan& training_plan(int64_t n);
  Tensor labels(int64_t n) const { return labels_.rows(0, n); }
  Shape logits_shape() const;  // of a full batch

  // The same loss and logits in inference mode, without a step.
  Result predict(const std::vector<int64_t>& classes);

  // The network that predicts and is worth saving: with the average of its weights where one is made.
  const models::Network& answering() const { return averaged_ ? *averaged_ : network_; }

  // Of a step for `n` images: recorded now if it was not yet.
  const StepPlanStatistics& statistics(int64_t n);
  // Beside the plans' arenas.
  int64_t gradient_bytes() const {
    return optimizer_.parameters().gradients().bytes() + (part_gradients_.defined() ? part_gradients_.bytes() : 0);
  }
  const std::vector<OwnedCall>& calls(int64_t n) { return training_plan(n).calls(); }

 private:
  struct Part {
    Tensor loss, logits;
    std::vector<models::PendingStatistics> statistics;
  };
  Part compute_part(int64_t index, int64_t first, int64_t images, int64_t of, const Tensor& gradients);
  void compile();

  models::Network& network_;
  const models::FreezePlan& freeze_;
  const Rootstock& rootstock_;
  const TrainConfig& config_;
  const Optimizer& optimizer_;
  std::optional<models::Network> averaged_;
  StepState& state_;
  Tensor labels_;
  Tensor part_gradients_;                       // of a micro-batch, as flat as the parameters'
  std::map<int64_t, StepPlan> training_;        // by number of images
  std::optional<models::BoundPiece> compiled_;  // for a full batch; made when it is first needed
};

}  // namespace graft::train
