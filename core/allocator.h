// The caching allocator: memory a tensor gives back is kept and handed to the next tensor of a like size, so a running
// program asks its device for memory only while it warms up.
//
// Memory is given back in stream order: a block freed while work on it is still queued goes to the next request on the
// same stream, whose work comes after. So freeing never waits. Thread-safe.
#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "contract/backend.h"

namespace graft {

// While alive, memory that this thread asks for is of this kind, and has this name in an error that says it is lacking.
class MemoryScope {
 public:
  explicit MemoryScope(const char* kind, std::string name = {});  // kind: a literal, "parameters"
  ~MemoryScope();
  MemoryScope(const MemoryScope&) = delete;
  MemoryScope& operator=(const MemoryScope&) = delete;

  static const char* kind();
  static const std::string& name();

 private:
  const char* previous_kind_;
  std::string previous_name_;
};

struct AllocatorStatistics {
  int64_t in_use = 0;              // bytes tensors hold now, as rounded
  int64_t peak = 0;                // the most they ever held since reset_peak
  int64_t reserved = 0;            // bytes held from the device, cached blocks included
  int64_t allocations = 0;         // requests so far
  int64_t device_allocations = 0;  // how many of them went to the device
};

class Allocator {
 public:
  explicit Allocator(const Backend& backend) : backend_(backend) {}
  ~Allocator() { trim(); }
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // At least `bytes` bytes, aligned to kArenaAlignment; nullptr for 0. Throws Error when the device has no more, even
  // after the cache was given back.
  void* allocate(int64_t bytes);
  void release(void* memory, int64_t bytes) noexcept;  // bytes as they were asked for

  struct Held {
    const char* kind;
    int64_t bytes, blocks;
  };
  std::vector<Held> held() const;  // by tensors now, the kind that holds most first

  void trim() noexcept;  // gives the cached blocks back to the device
  AllocatorStatistics statistics() const;
  void reset_peak();

  // Sizes are rounded up to eight steps between powers of two (at most 12.5 % more), so that like sizes share blocks.
  static int64_t rounded(int64_t bytes);

 private:
  struct Block {
    const char* kind;
    int64_t bytes;
  };
  [[noreturn]] void fail_to_allocate(Status status, int64_t bytes) const;
  std::vector<Held> held_by_kind() const;

  const Backend& backend_;
  mutable std::mutex mutex_;
  std::multimap<int64_t, void*> cache_;  // by rounded size
  std::unordered_map<void*, Block> in_use_;
  AllocatorStatistics statistics_;
};

}  // namespace graft
