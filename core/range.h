// A name, for a profiler, around what a thread does while this lives. They nest.
#pragma once
#include "core/device.h"

namespace graft {

class Range {
 public:
  Range(const Device& device, const char* name) : device_(device) {
    const Backend& b = device_.backend();
    if (b.device.begin_range) b.device.begin_range(b.self, name);
  }
  ~Range() {
    const Backend& b = device_.backend();
    if (b.device.end_range) b.device.end_range(b.self);
  }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;

 private:
  const Device& device_;
};

}  // namespace graft
