#include "core/step_ring.h"

#include <cstring>

#include "core/error.h"

namespace graft {

namespace {

// Where each of some blocks begins in memory that holds them all, and how much that is.
template <typename Blocks, typename BytesOf>
std::vector<int64_t> offsets_of(const Blocks& blocks, BytesOf&& bytes_of) {
  std::vector<int64_t> offsets = {0};
  for (const auto& block : blocks) offsets.push_back(offsets.back() + align_up(bytes_of(block)));
  return offsets;
}

}  // namespace

StepRing::Slot::Slot(const std::shared_ptr<Device>& device, int64_t input_bytes, int64_t result_bytes, bool overlap)
    : inputs(device, overlap ? input_bytes : 0), results(device, result_bytes) {
  if (overlap) finished.emplace(device);
}

StepRing::Staging::Staging(const std::shared_ptr<Device>& device, int64_t bytes)
    : copies(device), arrived(device), taken(device), memory(Storage::allocate(device, bytes)) {
  device->synchronize();  // queued work may still use a block of the cache, and the copies are in an order of their own
}

StepRing::StepRing(std::shared_ptr<Device> device, std::vector<Tensor> inputs, const std::vector<int64_t>& result_bytes)
    : device_(std::move(device)),
      inputs_(std::move(inputs)),
      input_offsets_(offsets_of(inputs_, [](const Tensor& t) { return t.bytes(); })),
      result_offsets_(offsets_of(result_bytes, [](int64_t bytes) { return bytes; })) {
  const bool overlap = copies_overlap(*device_);
  if (overlap) staging_.emplace(device_, input_offsets_.back());
  for (int i = 0; i < (overlap ? 2 : 1); ++i)
    slots_.push_back(std::make_unique<Slot>(device_, input_offsets_.back(), result_offsets_.back(), overlap));
}

// The staging memory goes back to the device's order of work, the page-locked memory to the system: what copies them
// must have come to its end. A device that is lost has nothing under way.
StepRing::~StepRing() {
  if (!staging_) return;
  const Backend& b = device_->backend();
  (void)b.device.synchronize(b.self, staging_->copies.handle());
  (void)b.device.synchronize(b.self, device_->stream());
}

void StepRing::give(const std::vector<Bytes>& inputs) {
  GRAFT_ASSERT(under_way() < depth() && inputs.size() == inputs_.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto bytes = static_cast<int64_t>(inputs[i].size());
    GRAFT_CHECK(bytes <= inputs_[i].bytes(), "{} bytes were given to an input of shape {}", bytes, inputs_[i].shape());
    inputs_[i].storage()->changed();
    if (!staging_) device_->from_host(inputs_[i].view().data, inputs[i].data(), bytes);
  }
  if (staging_) stage(slot_of(given_), inputs);
  ++given_;
}

void StepRing::stage(Slot& slot, const std::vector<Bytes>& inputs) {
  Staging& s = *staging_;
  const Backend& b = device_->backend();
  if (s.taken.recorded()) s.taken.hold_back(s.copies.handle());
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::byte* from = slot.inputs.data() + input_offsets_[i];
    std::memcpy(from, inputs[i].data(), inputs[i].size());
    device_->check(
        b.device.copy(b.self, s.copies.handle(), static_cast<std::byte*>(s.memory->data()) + input_offsets_[i], from,
                      static_cast<int64_t>(inputs[i].size()), CopyKind::host_to_device),
        "copying a step's inputs to the device");
  }
  s.arrived.record(s.copies.handle());
  s.arrived.hold_back(device_->stream());
  for (size_t i = 0; i < inputs.size(); ++i)
    device_->copy(inputs_[i].view().data, static_cast<std::byte*>(s.memory->data()) + input_offsets_[i],
                  static_cast<int64_t>(inputs[i].size()));
  s.taken.record(device_->stream());
}

void StepRing::take(const std::vector<Tensor>& results) {
  GRAFT_ASSERT(under_way() > 0);
  Slot& slot = slot_of(given_ - 1);
  slot.answer.clear();
  for (size_t i = 0; i < results.size(); ++i) {
    const TensorView view = results[i].view();
    GRAFT_CHECK(view.bytes() <= result_offsets_[i + 1] - result_offsets_[i],
                "a result of shape {} has no room in its ring", results[i].shape());
    std::byte* to = slot.results.data() + result_offsets_[i];
    if (staging_) {
      const Backend& b = device_->backend();
      device_->check(b.device.copy(b.self, device_->stream(), to, view.data, view.bytes(), CopyKind::device_to_host),
                     "copying a step's results to the host");
    } else {
      device_->to_host(to, view.data, view.bytes());
    }
    slot.answer.push_back({to, static_cast<size_t>(view.bytes())});
  }
  if (slot.finished) slot.finished->record(device_->stream());
}

const std::vector<StepRing::Bytes>& StepRing::finish() {
  GRAFT_ASSERT(under_way() > 0);
  Slot& slot = slot_of(finished_++);
  if (slot.finished) slot.finished->synchronize();
  return slot.answer;
}

}  // namespace graft
