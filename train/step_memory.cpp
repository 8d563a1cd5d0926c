#include "train/step_memory.h"

#include <algorithm>

#include "models/network.h"
#include "train/scion.h"

namespace graft::train {

TrainPlanReport count_parameters(const models::Graph& graph, const models::FreezePlan& freeze) {
  TrainPlanReport r;
  const auto all = models::parameters_of(graph);
  for (size_t i = 0; i < all.size(); ++i)
    if (!all[i].is_buffer) (freeze.trainable[i] ? r.trained_parameters : r.frozen_parameters) += all[i].shape.numel();
  return r;
}

TrainPlanReport plan_step_memory(const models::Graph& graph, const models::FreezePlan& freeze,
                                 const std::shared_ptr<Device>& device, int64_t batch, int64_t side) {
  TrainPlanReport report = count_parameters(graph, freeze);
  // Weights do not matter to a plan: the compiled part packs zeros.
  const Rootstock rootstock(
      graph, freeze, device, batch, side, side,
      [](const std::string&, int64_t, int64_t count, float* out) { std::fill_n(out, count, 0.f); });
  if (const auto* compiled = rootstock.report()) {
    report.frozen_packed_bytes = compiled->packed_bytes;
    report.frozen_arena_bytes = compiled->arena_bytes;
  }
  if (report.trained_parameters == 0) return report;

  std::vector<bool> above(freeze.below.size());
  for (size_t i = 0; i < above.size(); ++i) above[i] = !freeze.below[i];
  models::Network network(graph, device, DType::f32, above);
  std::map<std::string, bool> trainable;
  const auto all = models::parameters_of(graph);
  for (size_t i = 0; i < all.size(); ++i) trainable[all[i].name] = freeze.trainable[i];
  network.require_gradients([&](const models::Parameter& p) { return trainable.at(p.name); });
  std::vector<TrainedParameter> trained;
  for (const auto& entry : network.entries())
    if (entry.tensor.requires_grad()) trained.push_back({entry.info.name, entry.tensor});

  TrainConfig config;
  config.batch = batch;
  Optimizer optimizer(config, std::move(trained));
  StepState state(device, 0);
  Scion scion(network, freeze, rootstock, config, optimizer, state);
  report.step_arena_bytes = scion.statistics(batch).arena_bytes;
  report.step_lower_bound_bytes = scion.statistics(batch).lower_bound_bytes;
  return report;
}

}  // namespace graft::train
