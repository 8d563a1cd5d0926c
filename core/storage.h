// The memory behind a tensor: a block of one device, or, while a step is recorded, the number of a buffer to be
// planned.
#pragma once
#include <atomic>
#include <memory>

#include "core/device.h"

namespace graft {

class Storage : public std::enable_shared_from_this<Storage> {
 public:
  static std::shared_ptr<Storage> allocate(std::shared_ptr<Device> device, int64_t bytes);
  static std::shared_ptr<Storage> recorded(std::shared_ptr<Device> device, int64_t bytes, void* virtual_address);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  Device& device() const { return *device_; }
  const std::shared_ptr<Device>& shared_device() const { return device_; }
  void* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

  // Counts changes in place: what a tape saved, or a plan packed, is good only while this stands still. Who writes into
  // a tensor with a primitive says `changed`; said while a step is recorded, it is said again by each execution.
  uint64_t version() const { return version_.load(std::memory_order_relaxed); }
  void changed();

 private:
  Storage(std::shared_ptr<Device> device, void* data, int64_t bytes, bool owned)
      : device_(std::move(device)), data_(data), bytes_(bytes), owned_(owned) {}

  std::shared_ptr<Device> device_;
  void* data_;
  int64_t bytes_;
  bool owned_;
  std::atomic<uint64_t> version_{0};
};

}  // namespace graft
