#include "train/step_memory.h"

#include <algorithm>

#include "core/shapes_device.h"
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
  const auto shapes = shapes_device(device);
  // Weights do not matter to a plan: what folding asks for is zero.
  const Rootstock rootstock(
      graph, freeze, shapes, batch, side, side,
      [](const std::string&, int64_t, int64_t count, float* out) { std::fill_n(out, count, 0.f); });
  if (const auto* compiled = rootstock.report()) {
    report.frozen_packed_bytes = compiled->packed_bytes;
    report.frozen_arena_bytes = compiled->arena_bytes;
  }
  if (report.trained_parameters == 0) return report;

  models::Network network(graph, shapes, DType::f32, freeze.above());
  network.require_gradients(freeze);

  TrainConfig config;
  config.batch = batch;
  const FlatParameters parameters(network);
  const Optimizer optimizer(config, parameters);
  StepState state(shapes, 0);
  Scion scion(network, freeze, rootstock, config, optimizer, state);
  report.step_arena_bytes = scion.statistics(batch).arena_bytes;
  report.step_lower_bound_bytes = scion.statistics(batch).lower_bound_bytes;
  report.gradient_bytes = scion.gradient_bytes();
  return report;
}

}  // namespace graft::train
