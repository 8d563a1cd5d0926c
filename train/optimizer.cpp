#include "train/optimizer.h"

namespace graft::train {

namespace {

// Weight decay pulls weights of convolutions and linear layers; biases and the scales of norms are left alone.
bool decays(const models::Parameter& p) { return p.axes != models::Axes::channels; }

}  // namespace

std::vector<TrainedParameter> trained_parameters(const models::Network& network) {
  std::vector<TrainedParameter> trained;
  for (const auto& entry : network.entries())
    if (entry.tensor.requires_grad()) trained.push_back({entry.info.name, entry.tensor, decays(entry.info)});
  return trained;
}

StepState::StepState(const std::shared_ptr<Device>& device, uint64_t seed)
    : learning_rate(full(device, {1}, 0, DType::f64)),
      step(full(device, {1}, 0, DType::i64)),
      flag(full(device, {1}, 0, DType::i64)),
      random_state(from_values<int64_t>(device, {2}, {static_cast<int64_t>(seed), 0})) {}

Optimizer::Optimizer(const TrainConfig& config, std::vector<TrainedParameter> parameters)
    : config_(config), parameters_(std::move(parameters)) {
  const auto add = [this](const char* kind, const TrainedParameter& p) {
    buffers_[fmt::format("{}/{}", kind, p.name)] =
        full(p.tensor.shared_device(), p.tensor.shape(), 0, p.tensor.dtype());
  };
  for (const TrainedParameter& p : parameters_) {
    if (config_.optimizer == OptimizerKind::adamw) {
      add("exp_avg", p);
      add("exp_avg_sq", p);
    } else if (config_.momentum > 0) {
      add("momentum", p);
    }
  }
}

Tensor Optimizer::buffer(const char* kind, const TrainedParameter& p) const {
  const auto at = buffers_.find(fmt::format("{}/{}", kind, p.name));
  return at == buffers_.end() ? Tensor{} : at->second;
}

void Optimizer::step(const std::vector<Tensor>& gradients, const StepState& state) const {
  GRAFT_ASSERT(gradients.size() == parameters_.size());
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const TrainedParameter& p = parameters_[i];
    const double decay = p.decays ? config_.weight_decay : 0;
    Device& device = p.tensor.device();
    if (config_.optimizer == OptimizerKind::adamw) {
      device.run(AdamWArgs{.gradient = gradients[i],
                           .learning_rate = state.learning_rate,
                           .step = state.step,
                           .flag = state.flag,
                           .parameter = p.tensor,
                           .m = buffer("exp_avg", p),
                           .v = buffer("exp_avg_sq", p),
                           .beta1 = config_.beta1,
                           .beta2 = config_.beta2,
                           .eps = config_.eps,
                           .weight_decay = decay});
    } else {
      device.run(SgdArgs{.gradient = gradients[i],
                         .learning_rate = state.learning_rate,
                         .step = state.step,
                         .flag = state.flag,
                         .parameter = p.tensor,
                         .velocity = buffer("momentum", p),
                         .momentum = config_.momentum,
                         .weight_decay = decay,
                         .nesterov = config_.nesterov});
    }
    p.tensor.storage()->changed();
  }
}

}  // namespace graft::train
