#include "core/storage.h"

#include "core/recorder.h"

namespace graft {

std::shared_ptr<Storage> Storage::allocate(std::shared_ptr<Device> device, int64_t bytes) {
  void* data = device->allocator().allocate(bytes);
  return std::shared_ptr<Storage>(new Storage(std::move(device), data, bytes, true));
}

std::shared_ptr<Storage> Storage::recorded(std::shared_ptr<Device> device, int64_t bytes, void* virtual_address) {
  return std::shared_ptr<Storage>(new Storage(std::move(device), virtual_address, bytes, false));
}

void Storage::changed() {
  version_.fetch_add(1, std::memory_order_relaxed);
  if (Recorder* recorder = Recorder::current(); recorder && owned_) recorder->changes(shared_from_this());
}

Storage::~Storage() {
  if (owned_) device_->allocator().release(data_, bytes_);
}

}  // namespace graft
