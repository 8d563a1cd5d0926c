#include "core/allocator.h"

#include <algorithm>
#include <bit>

#include "core/error.h"

namespace graft {

int64_t Allocator::rounded(int64_t bytes) {
  const int64_t step = std::max<int64_t>(512, static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes)) / 8));
  return align_up(bytes, step);
}

void* Allocator::allocate(int64_t bytes) {
  GRAFT_ASSERT(bytes >= 0);
  if (bytes == 0) return nullptr;
  GRAFT_CHECK(bytes < int64_t{1} << 46, "cannot allocate {} bytes: no tensor is that large", bytes);
  const int64_t size = rounded(bytes);
  const std::lock_guard lock(mutex_);
  void* memory = nullptr;
  if (const auto cached = cache_.find(size); cached != cache_.end()) {
    memory = cached->second;
    cache_.erase(cached);
  } else {
    const auto ask = [&] { return backend_.device.allocate(backend_.self, size, &memory); };
    Status status = ask();
    if (status == Status::out_of_memory && !cache_.empty()) {
      for (const auto& [cached_size, block] : cache_) {
        backend_.device.release(backend_.self, block, cached_size);
        statistics_.reserved -= cached_size;
      }
      cache_.clear();
      status = ask();
    }
    GRAFT_CHECK(status == Status::ok, "{}: no memory for {:.1f} MB more; {:.1f} MB are in use. Use a smaller batch",
                backend_.name, static_cast<double>(size) / 1e6, static_cast<double>(statistics_.in_use) / 1e6);
    statistics_.reserved += size;
    ++statistics_.device_allocations;
  }
  ++statistics_.allocations;
  statistics_.in_use += size;
  statistics_.peak = std::max(statistics_.peak, statistics_.in_use);
  return memory;
}

void Allocator::release(void* memory, int64_t bytes) noexcept {
  if (!memory) return;
  const int64_t size = rounded(bytes);
  const std::lock_guard lock(mutex_);
  statistics_.in_use -= size;
  try {
    cache_.emplace(size, memory);
  } catch (...) {  // no room for the note: give the block back at once
    backend_.device.release(backend_.self, memory, size);
    statistics_.reserved -= size;
  }
}

void Allocator::trim() noexcept {
  const std::lock_guard lock(mutex_);
  for (const auto& [size, block] : cache_) {
    backend_.device.release(backend_.self, block, size);
    statistics_.reserved -= size;
  }
  cache_.clear();
}

AllocatorStatistics Allocator::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

void Allocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  statistics_.peak = statistics_.in_use;
}

}  // namespace graft
