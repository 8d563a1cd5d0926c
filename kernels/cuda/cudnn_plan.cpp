#include "kernels/cuda/cudnn_plan.h"

#include <algorithm>
#include <vector>

namespace graft::cuda {

namespace {

constexpr uint32_t bit(cudnnBackendNumericalNote_t note) { return 1u << note; }

uint32_t notes_of(const CudnnDescriptor& engine) {
  cudnnBackendNumericalNote_t list[32] = {};
  const int64_t count = engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, list, 32);
  uint32_t notes = 0;
  for (int64_t i = 0; i < count && i < 32; ++i)
    if (list[i] >= 0 && list[i] < 32) notes |= bit(list[i]);
  return notes;
}

bool is_compiled(const CudnnDescriptor& engine) {
  cudnnBackendBehaviorNote_t list[32] = {};
  const int64_t count = engine.get(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, list, 32);
  return count > 0 && std::count(list, list + count, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) > 0;
}

// The configurations that a heuristic proposes, best first.
std::vector<CudnnDescriptor> proposals(const Cudnn& api, const CudnnDevice& device, const CudnnGraph& graph) {
  CudnnDescriptor heuristic(api, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph.graph)
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A);
  device.enter(heuristic, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP);
  heuristic.finalize();
  const int64_t count =
      heuristic.get<cudnnBackendDescriptor_t>(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, nullptr, 0);
  std::vector<CudnnDescriptor> list;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int64_t i = 0; i < count; ++i) raw.push_back(list.emplace_back(api, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).raw());
  const int64_t got =
      count <= 0 ? 0 : heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw.data(), count);
  while (static_cast<int64_t>(list.size()) > got) list.pop_back();
  return list;
}

// "cudnn 7 2=1 13=4"
std::string name_of(const Cudnn& api, const CudnnDescriptor& config, int64_t engine) {
  std::string name = "cudnn " + std::to_string(engine);
  std::vector<CudnnDescriptor> knobs;
  std::vector<cudnnBackendDescriptor_t> raw;
  const int64_t count = config.get<cudnnBackendDescriptor_t>(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                                                             CUDNN_TYPE_BACKEND_DESCRIPTOR, nullptr, 0);
  for (int64_t i = 0; i < count; ++i)
    raw.push_back(knobs.emplace_back(api, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR).raw());
  if (count > 0) (void)config.get(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw.data(), count);
  for (const CudnnDescriptor& knob : knobs) {
    cudnnBackendKnobType_t type{};
    int64_t value = 0;
    if (knob.get(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, &type, 1) == 1 &&
        knob.get(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, &value, 1) == 1)
      name += ' ' + std::to_string(static_cast<int>(type)) + '=' + std::to_string(value);
  }
  return name;
}

}  // namespace

CudnnDevice::CudnnDevice(const Cudnn& api, std::string_view json)
    : properties_(CudnnDescriptor(api, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR)) {
  properties_
      ->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, json.data(), static_cast<int64_t>(json.size()))
      .finalize();
}

bool keeps_promises(uint32_t notes, DType elements, F32Math math) {
  uint32_t refused = bit(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) |
                     bit(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION) | bit(CUDNN_NUMERICAL_NOTE_FFT) |
                     bit(CUDNN_NUMERICAL_NOTE_WINOGRAD) | bit(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4) |
                     bit(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6) | bit(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13);
  const bool rounds_freely = elements == DType::f32 && math == F32Math::tf32;
  if (!rounds_freely) refused |= bit(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
  if (!rounds_freely && elements == DType::f32) refused |= bit(CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
  return (notes & refused) == 0;
}

std::vector<CudnnPlan> list_plans(const Cudnn& api, const CudnnDevice& device, const ConvolutionGraph& g, size_t most,
                                  std::string_view name) {
  std::vector<CudnnPlan> plans;
  const CudnnGraph graph(api, g, device.handle());
  if (!graph.ok()) return plans;
  const F32Math math = g.rounds_to_tf32 ? F32Math::tf32 : F32Math::strict;
  for (const CudnnDescriptor& config : proposals(api, device, graph)) {
    if (plans.size() == most) break;
    CudnnDescriptor engine(api, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    cudnnBackendDescriptor_t raw = engine.raw();
    if (config.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, &raw, 1) < 1) continue;
    CudnnPlan plan{.plan = CudnnDescriptor(api, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR), .notes = notes_of(engine)};
    if (!keeps_promises(plan.notes, g.tensors[0].type, math)) continue;
    (void)engine.get(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, &plan.engine, 1);
    plan.name = name_of(api, config, plan.engine);
    if (!name.empty() && plan.name != name) continue;
    if (std::any_of(plans.begin(), plans.end(), [&](const CudnnPlan& p) { return p.name == plan.name; })) continue;

    plan.plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    if (device.handle() != nullptr) plan.plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, device.handle());
    device.enter(plan.plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
    plan.plan.finalize();
    const bool sized =
        plan.plan.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, &plan.workspace_bytes, 1) == 1;
    if (!sized || plan.workspace_bytes > kMostPlanWorkspace) continue;
    plan.compiled = is_compiled(engine);
    plans.push_back(std::move(plan));
  }
  return plans;
}

std::optional<CudnnPlan> choose_plan(const Cudnn& api, const CudnnDevice& device, const ConvolutionGraph& g) {
  std::vector<CudnnPlan> plans = list_plans(api, device, g, 1);
  return plans.empty() ? std::nullopt : std::optional(std::move(plans.front()));
}

}  // namespace graft::cuda
