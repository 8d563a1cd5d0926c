#include "core/recorder.h"

#include <cstring>
#include <utility>

#include "core/error.h"

namespace graft {

namespace {
Recorder*& recorder_of_this_thread() {
  thread_local Recorder* recorder = nullptr;
  return recorder;
}
}  // namespace

Recorder::Recorder(std::shared_ptr<Device> device) : previous_(std::exchange(recorder_of_this_thread(), this)) {
  recording_.device = std::move(device);
}

Recorder::~Recorder() {
  if (active_) recorder_of_this_thread() = previous_;
}

Recorder* Recorder::current() { return recorder_of_this_thread(); }

void Recorder::append(Device& device, Primitive primitive, const void* args) {
  GRAFT_CHECK(&device == recording_.device.get(), "a step is recorded on one device; {} ran on another",
              name_of(primitive));
  OwnedCall call{.primitive = primitive};
  std::memcpy(call.args.bytes, args, info_of(primitive).args_bytes);
  if (const std::string& layer = LayerScope::current(); !layer.empty()) {
    if (recording_.layers.empty() || recording_.layers.back() != layer) recording_.layers.push_back(layer);
    call.layer = static_cast<int32_t>(recording_.layers.size()) - 1;
  }
  recording_.calls.push_back(call);
}

void* Recorder::new_buffer(Device& device, int64_t bytes) {
  GRAFT_CHECK(&device == recording_.device.get(), "a step is recorded on one device; a tensor was made on another");
  GRAFT_CHECK(recording_.buffers.size() < static_cast<size_t>(kMaxBuffers), "a recording has at most {} buffers",
              kMaxBuffers);
  recording_.buffers.push_back(bytes);
  return virtual_address(static_cast<int32_t>(recording_.buffers.size()) - 1);
}

Recording Recorder::finish() {
  GRAFT_ASSERT(active_);
  active_ = false;
  recorder_of_this_thread() = previous_;
  return std::move(recording_);
}

}  // namespace graft
