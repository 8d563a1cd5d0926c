// What training would need, from shapes alone: nothing is read, computed or allocated.
#pragma once
#include <cstdint>
#include <memory>

#include "core/device.h"
#include "core/recorder.h"
#include "models/freeze.h"
#include "train/trainer.h"

namespace graft::train {

// Of a step of AdamW on `batch` images of side x side pixels, with this much of the network frozen.
TrainPlanReport plan_step_memory(const models::Graph& graph, const models::FreezePlan& freeze,
                                 const std::shared_ptr<Device>& device, int64_t batch, int64_t side);

// The calls of that step, in order: above the graft line. Their views name no memory.
std::vector<OwnedCall> step_calls(const models::Graph& graph, const models::FreezePlan& freeze,
                                  const std::shared_ptr<Device>& device, int64_t batch, int64_t side);

// Parameters that train, and those that do not; buffers are neither.
TrainPlanReport count_parameters(const models::Graph& graph, const models::FreezePlan& freeze);

}  // namespace graft::train
