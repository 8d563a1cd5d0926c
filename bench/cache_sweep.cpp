#include "bench/cache_sweep.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

namespace graft::bench {

int64_t last_level_cache_bytes() {
  return std::max<int64_t>({sysconf(_SC_LEVEL2_CACHE_SIZE), sysconf(_SC_LEVEL3_CACHE_SIZE), 0});
}

CacheSweep::CacheSweep(int threads) : threads_(threads) {
  const int64_t memory = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  const int64_t wanted = std::max(last_level_cache_bytes() / 4 * 5, int64_t{64} << 20);
  memory_.resize(static_cast<size_t>(std::min(wanted, memory / 8)) / sizeof(uint64_t));
}

void CacheSweep::sweep() {
  ++value_;
  const size_t part = memory_.size() / static_cast<size_t>(threads_);
  const auto write = [&](int thread) {
    const auto begin = memory_.begin() + static_cast<int64_t>(part) * thread;
    std::fill(begin, begin + static_cast<int64_t>(part), value_);
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads_; ++t) others.emplace_back(write, t);
  write(0);
  for (std::thread& other : others) other.join();
}

}  // namespace graft::bench
