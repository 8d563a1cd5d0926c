#include "tests/io/torch/memory_meter.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<size_t> held = 0, peak = 0;
size_t held_before = 0;
}  // namespace

void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  void* memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (!memory) return nullptr;
  const size_t now = held += malloc_usable_size(memory);
  for (size_t old = peak; old < now && !peak.compare_exchange_weak(old, now);) {
  }
  return memory;
}
void* operator new(size_t bytes) {
  if (void* memory = operator new(bytes, std::nothrow)) return memory;
  throw std::bad_alloc();
}

void operator delete(void* memory) noexcept {
  if (memory) held -= malloc_usable_size(memory);
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }

namespace graft::test {

MemoryMeter::MemoryMeter() {
  held_before = held;
  peak = held_before;
}

size_t MemoryMeter::peak_bytes() const { return peak - held_before; }

}  // namespace graft::test
