// Work beside the device's own order of work: another stream, events that order the two, and host memory that copies
// read and write while the program goes on. All of it is optional for a backend: see copies_overlap.
#pragma once
#include <cstddef>
#include <memory>

#include "core/device.h"

namespace graft {

// Does a copy between host and device go on while the program does? Otherwise it is done on return, and there is
// nothing to wait for.
bool copies_overlap(const Device& device);

// A point in a stream's order.
class Event {
 public:
  explicit Event(std::shared_ptr<Device> device);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(StreamHandle stream);           // after what the stream was given so far
  void hold_back(StreamHandle stream) const;  // later work of the stream comes after the point
  void synchronize() const;                   // returns when the device has come to it
  bool recorded() const { return recorded_; }

 private:
  std::shared_ptr<Device> device_;
  EventHandle handle_ = nullptr;
  bool recorded_ = false;
};

class Stream {
 public:
  explicit Stream(std::shared_ptr<Device> device);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  StreamHandle handle() const { return handle_; }

 private:
  std::shared_ptr<Device> device_;
  StreamHandle handle_ = nullptr;
};

// Host memory: page-locked where copies overlap, ordinary otherwise. Whoever gives it back has waited for its copies.
class HostMemory {
 public:
  HostMemory(std::shared_ptr<Device> device, int64_t bytes);
  ~HostMemory();
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;

  std::byte* data() const { return data_; }

 private:
  std::shared_ptr<Device> device_;
  std::byte* data_ = nullptr;
  std::unique_ptr<std::byte[]> ordinary_;
};

}  // namespace graft
