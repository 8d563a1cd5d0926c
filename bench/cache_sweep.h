// Cold caches: between two calls, more memory than the last-level cache holds is written.
#pragma once
#include <cstdint>
#include <vector>

namespace graft::bench {

// Of the last-level cache as the system reports it; 0: it does not say.
int64_t last_level_cache_bytes();

// On the host: every thread writes its part, so that each core's own caches are swept too.
class CacheSweep {
 public:
  // 1.25 times the last-level cache, at least 64 MiB, at most an eighth of the machine's memory.
  explicit CacheSweep(int threads);
  void sweep();
  int64_t bytes() const { return static_cast<int64_t>(memory_.size() * sizeof(uint64_t)); }

 private:
  int threads_;
  uint64_t value_ = 0;
  std::vector<uint64_t> memory_;
};

}  // namespace graft::bench
