#include "train/optimizer.h"

namespace graft::train {

StepState::StepState(const std::shared_ptr<Device>& device, uint64_t seed)
    : learning_rate(full(device, {1}, 0, DType::f64)),
      step(full(device, {1}, 0, DType::i64)),
      flag(full(device, {1}, 0, DType::i64)),
      random_state(from_values<int64_t>(device, {2}, {static_cast<int64_t>(seed), 0})) {}

Optimizer::Optimizer(const TrainConfig& config, const FlatParameters& parameters)
    : config_(config), parameters_(parameters) {
  if (config_.optimizer == OptimizerKind::adamw) {
    state_ = {{"exp_avg", parameters_.zeros("state of the optimiser")},
              {"exp_avg_sq", parameters_.zeros("state of the optimiser")}};
  } else if (config_.momentum > 0) {
    state_ = {{"momentum", parameters_.zeros("state of the optimiser")}};
  }
  const Tensor& values = parameters_.values();
  if (config_.ema > 0) {
    const Tensor average = parameters_.zeros("state of the optimiser");
    average.device().copy(average.view().data, values.view().data, values.bytes());
    state_["average"] = average;
  }
  if (config_.clip_norm > 0) {
    norm_ = full(values.shared_device(), {1}, 0, values.dtype());
    factor_ = full(values.shared_device(), {1}, 1, values.dtype());
  }
}

std::optional<models::Network> Optimizer::averaged(const models::Network& network) const {
  const auto average = state_.find("average");
  if (average == state_.end()) return {};
  models::Network with_averages = network;
  for (size_t i = 0; i < parameters_.entries().size(); ++i)
    with_averages.replace(parameters_.entries()[i].name, parameters_.part(average->second, i));
  return with_averages;
}

void Optimizer::check_gradients(const StepState& state) const {
  const Tensor& gradients = parameters_.gradients();
  if (config_.clip_norm > 0) {
    gradients.device().run(ClipFactorArgs{
        .gradient = gradients, .flag = state.flag, .norm = norm_, .factor = factor_, .max_norm = config_.clip_norm});
  } else {
    gradients.device().run(CheckFiniteArgs{.x = gradients, .flag = state.flag});
  }
}

std::map<std::string, Tensor> Optimizer::buffers() const {
  std::map<std::string, Tensor> buffers;
  for (const auto& [kind, flat] : state_)
    for (size_t i = 0; i < parameters_.entries().size(); ++i)
      buffers[fmt::format("{}/{}", kind, parameters_.entries()[i].name)] = parameters_.part(flat, i);
  return buffers;
}

void Optimizer::step(const StepState& state) const {
  Device& device = parameters_.values().device();
  for (const FlatParameters::Group& group : parameters_.groups()) {
    const auto part = [&](const Tensor& flat) { return parameters_.part(flat, group); };
    const Tensor copy = parameters_.copies().defined() ? part(parameters_.copies()) : Tensor{};
    const double decay = group.decays ? config_.weight_decay : 0;
    if (config_.optimizer == OptimizerKind::adamw) {
      device.run(AdamWArgs{.gradient = part(parameters_.gradients()),
                           .learning_rate = state.learning_rate,
                           .step = state.step,
                           .flag = state.flag,
                           .gradient_factor = factor_,
                           .parameter = part(parameters_.values()),
                           .m = part(state_.at("exp_avg")),
                           .v = part(state_.at("exp_avg_sq")),
                           .copy = copy,
                           .beta1 = config_.beta1,
                           .beta2 = config_.beta2,
                           .eps = config_.eps,
                           .weight_decay = decay});
    } else {
      device.run(SgdArgs{.gradient = part(parameters_.gradients()),
                         .learning_rate = state.learning_rate,
                         .step = state.step,
                         .flag = state.flag,
                         .gradient_factor = factor_,
                         .parameter = part(parameters_.values()),
                         .velocity = config_.momentum > 0 ? part(state_.at("momentum")) : Tensor{},
                         .copy = copy,
                         .momentum = config_.momentum,
                         .weight_decay = decay,
                         .nesterov = config_.nesterov});
    }
  }
  parameters_.values().storage()->changed();
  if (parameters_.copies().defined()) parameters_.copies().storage()->changed();
  if (const auto average = state_.find("average"); average != state_.end()) {
    device.run(EmaArgs{
        .parameter = parameters_.values(), .flag = state.flag, .average = average->second, .decay = config_.ema});
    average->second.storage()->changed();
  }
}

}  // namespace graft::train
