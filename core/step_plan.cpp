#include "core/step_plan.h"

#include <algorithm>

#include "core/range.h"
#include "core/step_rewrite.h"

namespace graft {

namespace {

constexpr int32_t kNever = -1;

}  // namespace

StepPlan::StepPlan(Recording recording, const std::vector<Tensor>& results, const StepPlanOptions& options)
    : recording_(std::move(recording)), work_(recording_.device, options.name, options.capture) {
  const auto is_recorded = [](const Tensor& t) { return t.defined() && is_virtual(t.view().data); };
  statistics_.recorded_calls = static_cast<int64_t>(recording_.calls.size());
  if (options.fuse) {
    std::vector<int32_t> kept;
    for (const Tensor& t : results)
      if (is_recorded(t)) kept.push_back(buffer_of(t.view().data));
    fuse_batch_norms(recording_, kept);
  }
  std::vector<OwnedCall>& calls = recording_.calls;
  statistics_.calls = static_cast<int64_t>(calls.size());

  // When is each buffer alive? Buffers first, then one workspace a call.
  const auto buffers = static_cast<int32_t>(recording_.buffers.size());
  const auto call_count = static_cast<int32_t>(calls.size());
  std::vector<Lifetime> lifetimes(static_cast<size_t>(buffers));
  for (int32_t b = 0; b < buffers; ++b)
    lifetimes[static_cast<size_t>(b)] = {recording_.buffers[static_cast<size_t>(b)], kNever, kNever};
  for (int32_t c = 0; c < call_count; ++c)
    for (const OwnedCall& call = calls[static_cast<size_t>(c)];
         const TensorView& view : std::span(call.views(), static_cast<size_t>(call.roles().total())))
      if (view.present() && is_virtual(view.data)) {
        Lifetime& life = lifetimes[static_cast<size_t>(buffer_of(view.data))];
        if (life.first == kNever) life.first = c;
        life.last = c;
      }
  for (const Tensor& t : results)
    if (is_recorded(t)) lifetimes[static_cast<size_t>(buffer_of(t.view().data))].last = call_count;
  for (Lifetime& life : lifetimes)
    if (life.first == kNever) life = {};  // fused away
  for (int32_t c = 0; c < call_count; ++c) {
    const OwnedCall& call = calls[static_cast<size_t>(c)];
    lifetimes.push_back({recording_.device->workspace_bytes(call.primitive, call.args.bytes), c, c});
  }

  std::vector<int64_t> offsets(lifetimes.size());
  std::vector<int32_t> scratch(2 * lifetimes.size());
  const auto count = static_cast<int32_t>(lifetimes.size());
  statistics_.arena_bytes = plan_intervals(lifetimes.data(), count, offsets.data(), scratch.data());
  statistics_.lower_bound_bytes = arena_lower_bound(lifetimes.data(), count);
  const MemoryScope scope("arena of a step");
  arena_ = Storage::allocate(recording_.device, statistics_.arena_bytes);

  const auto address_of = [&](const void* recorded) {
    return static_cast<char*>(arena_->data()) + offsets[static_cast<size_t>(buffer_of(recorded))] + offset_of(recorded);
  };
  for (size_t c = 0; c < calls.size(); ++c) {
    for (TensorView& view : std::span(calls[c].views(), static_cast<size_t>(calls[c].roles().total())))
      if (view.present() && is_virtual(view.data)) view.data = address_of(view.data);
    const size_t item = static_cast<size_t>(buffers) + c;
    workspaces_.push_back({static_cast<char*>(arena_->data()) + offsets[item], lifetimes[item].bytes});
  }
  for (const Tensor& t : results)
    results_.push_back(!is_recorded(t)
                           ? t
                           : Tensor(arena_,
                                    static_cast<char*>(address_of(t.view().data)) - static_cast<char*>(arena_->data()),
                                    t.shape(), t.dtype()));
}

void StepPlan::execute() {
  for (const auto& storage : recording_.changed) storage->changed();
  work_.run([this](StreamHandle stream) { queue_calls(stream); });
}

void StepPlan::queue_calls(StreamHandle stream) const {
  Device& device = *recording_.device;
  const std::vector<OwnedCall>& calls = recording_.calls;
  for (size_t c = 0; c < calls.size();) {
    // A range around neighbouring calls of a layer, or a call that has none.
    const int32_t layer = calls[c].layer;
    const char* name = layer < 0 ? "" : recording_.layers[static_cast<size_t>(layer)].c_str();
    const Range range(device, layer < 0 ? name_of(calls[c].primitive) : name);
    do {
      const OwnedCall& call = calls[c];
      const Status status =
          device.try_run(call.primitive, call.args.bytes, workspaces_[c].memory, workspaces_[c].bytes, stream);
      if (status != Status::ok) {
        const LayerScope scope(name);
        device.check(status, name_of(call.primitive), describe_call(call.primitive, call.args.bytes));
      }
      ++c;
    } while (c < calls.size() && layer >= 0 && calls[c].layer == layer);
  }
}

}  // namespace graft
