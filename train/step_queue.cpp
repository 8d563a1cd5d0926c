#include "train/step_queue.h"

#include <cstring>

namespace graft::train {

namespace {

template <typename T>
std::vector<T> values_of(StepRing::Bytes bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace

StepQueue::StepQueue(Rootstock& rootstock, Scion& scion, StepState& state)
    : rootstock_(rootstock),
      scion_(scion),
      state_(state),
      ring_(state.flag.shared_device(),
            {state.learning_rate, scion.labels(rootstock.image_shape()[0]), rootstock.images()},
            {sizeof(float), scion.logits_shape().numel() * int64_t{sizeof(float)}, sizeof(int64_t)}) {}

void StepQueue::push(const io::Batch& batch, double learning_rate, io::LoaderState after) {
  StepPlan& plan = scion_.training_plan(batch.size);  // it may have to be recorded
  GRAFT_ASSERT(plan.result(0).dtype() == DType::f32 && plan.result(1).dtype() == DType::f32);
  ring_.give({std::as_bytes(std::span(&learning_rate, 1)), std::as_bytes(std::span(batch.labels)),
              std::as_bytes(std::span(batch.images))});
  rootstock_.run();
  plan.execute();
  ring_.take({plan.result(0), plan.result(1), state_.flag});
  queued_.push_back({batch.labels, after});
}

StepQueue::Finished StepQueue::pop() {
  const auto& answer = ring_.finish();
  Finished f{.result = {values_of<float>(answer[0])[0], values_of<float>(answer[1])},
             .labels = std::move(queued_.front().labels),
             .after = queued_.front().after,
             .diverged = values_of<int64_t>(answer[2])[0] != 0};
  queued_.pop_front();
  return f;
}

}  // namespace graft::train
