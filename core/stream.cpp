#include "core/stream.h"

#include <utility>

#include "core/error.h"

namespace graft {

bool copies_overlap(const Device& device) {
  const DeviceFunctions& f = device.backend().device;
  return f.allocate_host && f.create_stream && f.create_event;
}

Event::Event(std::shared_ptr<Device> device) : device_(std::move(device)) {
  const Backend& b = device_->backend();
  device_->check(b.device.create_event(b.self, &handle_), "making an event");
}
Event::~Event() { device_->backend().device.destroy_event(device_->backend().self, handle_); }

void Event::record(StreamHandle stream) {
  const Backend& b = device_->backend();
  device_->check(b.device.record_event(b.self, handle_, stream), "recording an event");
  recorded_ = true;
}
void Event::hold_back(StreamHandle stream) const {
  const Backend& b = device_->backend();
  device_->check(b.device.wait_event(b.self, stream, handle_), "ordering two streams");
}
void Event::synchronize() const {
  const Backend& b = device_->backend();
  device_->check(b.device.synchronize_event(b.self, handle_), "waiting for an event");
}

Stream::Stream(std::shared_ptr<Device> device) : device_(std::move(device)) {
  const Backend& b = device_->backend();
  device_->check(b.device.create_stream(b.self, &handle_), "making a stream");
}
Stream::~Stream() { device_->backend().device.destroy_stream(device_->backend().self, handle_); }

HostMemory::HostMemory(std::shared_ptr<Device> device, int64_t bytes) : device_(std::move(device)) {
  if (!copies_overlap(*device_)) {
    ordinary_ = std::make_unique<std::byte[]>(static_cast<size_t>(bytes));
    data_ = ordinary_.get();
    return;
  }
  const Backend& b = device_->backend();
  void* memory = nullptr;
  const Status status = b.device.allocate_host(b.self, bytes, &memory);
  GRAFT_CHECK(status != Status::out_of_memory,
              "{}: no page-locked host memory for {:.1f} MB that wait to be copied. Use a smaller batch", b.name,
              static_cast<double>(bytes) / 1e6);
  device_->check(status, "allocating page-locked host memory");
  data_ = static_cast<std::byte*>(memory);
}
HostMemory::~HostMemory() {
  if (!ordinary_) device_->backend().device.release_host(device_->backend().self, data_);
}

}  // namespace graft
