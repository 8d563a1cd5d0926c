#include "train/step_memory.h"

#include <algorithm>
#include <optional>

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

namespace {

// A step of AdamW, of shapes. Weights do not matter to a plan: what folding asks for is zero.
struct PlannedStep {
  PlannedStep(const models::Graph& graph, const models::FreezePlan& freeze, const Rootstock& rootstock,
              const std::shared_ptr<Device>& shapes, int64_t batch)
      : network(graph, shapes, DType::f32, freeze.above()), state(shapes, 0) {
    network.require_gradients(freeze);
    config.batch = batch;
    parameters.emplace(network);
    optimizer.emplace(config, *parameters);
    scion.emplace(network, freeze, rootstock, config, *optimizer, state);
  }

  models::Network network;
  StepState state;
  TrainConfig config;
  std::optional<FlatParameters> parameters;
  std::optional<Optimizer> optimizer;
  std::optional<Scion> scion;
};

Rootstock planned_rootstock(const models::Graph& graph, const models::FreezePlan& freeze,
                            const std::shared_ptr<Device>& shapes, int64_t batch, int64_t side) {
  return {graph, freeze, shapes, batch, side, side, [](const std::string&, int64_t, int64_t count, float* out) {
            std::fill_n(out, count, 0.f);
          }};
}

}  // namespace

TrainPlanReport plan_step_memory(const models::Graph& graph, const models::FreezePlan& freeze,
                                 const std::shared_ptr<Device>& device, int64_t batch, int64_t side) {
  TrainPlanReport report = count_parameters(graph, freeze);
  const auto shapes = shapes_device(device);
  const Rootstock rootstock = planned_rootstock(graph, freeze, shapes, batch, side);
  if (const auto* compiled = rootstock.report()) {
    report.frozen_packed_bytes = compiled->packed_bytes;
    report.frozen_arena_bytes = compiled->arena_bytes;
  }
  if (report.trained_parameters == 0) return report;

  PlannedStep step(graph, freeze, rootstock, shapes, batch);
  report.step_arena_bytes = step.scion->statistics(batch).arena_bytes;
  report.step_lower_bound_bytes = step.scion->statistics(batch).lower_bound_bytes;
  report.gradient_bytes = step.scion->gradient_bytes();
  return report;
}

std::vector<OwnedCall> step_calls(const models::Graph& graph, const models::FreezePlan& freeze,
                                  const std::shared_ptr<Device>& device, int64_t batch, int64_t side) {
  const auto shapes = shapes_device(device);
  const Rootstock rootstock = planned_rootstock(graph, freeze, shapes, batch, side);
  return PlannedStep(graph, freeze, rootstock, shapes, batch).scion->calls(batch);
}

}  // namespace graft::train
