// Hands out 64-byte aligned parts of the memory a caller gave. The same walk, without memory, adds up what is needed.
#pragma once
#include <cstdint>

#include "contract/plan_intervals.h"

namespace graft::cpu {

class Workspace {
 public:
  Workspace() = default;  // measures only
  explicit Workspace(void* memory) : memory_(static_cast<char*>(memory)) {}

  template <typename T>
  T* take(int64_t count) {
    char* at = memory_ == nullptr ? nullptr : memory_ + bytes_;
    bytes_ += align_up(count * static_cast<int64_t>(sizeof(T)));
    return reinterpret_cast<T*>(at);
  }
  int64_t bytes() const { return bytes_; }

 private:
  char* memory_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace graft::cpu
