#include "tests/cuda_on_host/memory_map.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "tests/cuda_on_host/control.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace graft::cuda_on_host {
namespace {

void* reserve(size_t bytes, int protection) {
  void* memory = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

Stretch make_stretch(size_t bytes, int protection) {
  Stretch s;
  s.begin = reinterpret_cast<uintptr_t>(reserve(bytes, protection));
  s.bytes = bytes;
  s.states = static_cast<uint8_t*>(reserve(bytes, PROT_READ | PROT_WRITE));
  if (kRaceBuild) {
    s.words = static_cast<Cell*>(reserve(bytes / 4 * sizeof(Cell), PROT_READ | PROT_WRITE));
    s.singles = static_cast<Cell*>(reserve(bytes * sizeof(Cell), PROT_READ | PROT_WRITE));
    s.split = static_cast<bool*>(reserve(bytes / 4, PROT_READ | PROT_WRITE));
  }
  return s;
}

}  // namespace

void Stretch::set_states(uintptr_t address, size_t count, ByteState state) {
  std::memset(states + (address - begin), static_cast<int>(state), count);
#if defined(__SANITIZE_ADDRESS__)
  auto* p = reinterpret_cast<void*>(address);
  if (state == ByteState::forbidden)
    __asan_poison_memory_region(p, count);
  else
    __asan_unpoison_memory_region(p, count);
#endif
}

void Stretch::forget(uintptr_t address, size_t count) {
  if (!kRaceBuild) return;
  const size_t offset = address - begin;
  madvise(words + offset / 4, count / 4 * sizeof(Cell), MADV_DONTNEED);
  madvise(singles + offset, count * sizeof(Cell), MADV_DONTNEED);
  std::fill_n(split + offset / 4, count / 4, false);
}

Stretch& device_stretch() {
  static Stretch stretch = make_stretch(size_t{16} << 30, PROT_NONE);
  return stretch;
}

Stretch& shared_stretch() {
  static Stretch stretch = make_stretch(kSharedStretchBytes, PROT_READ | PROT_WRITE);
  return stretch;
}

}  // namespace graft::cuda_on_host
