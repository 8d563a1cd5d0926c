#include "tests/cuda_on_host/device_memory.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstring>

#include "tests/cuda_on_host/memory_map.h"

namespace graft::cuda_on_host {
namespace {

constexpr int kPoison = 0xff;  // NaN as f32, f16 and bf16; −1 as an index

size_t pages_for(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

const char* name_of(MemoryKind kind) { return kind == MemoryKind::pinned ? "pinned" : "device"; }

}  // namespace

DeviceMemory& device_memory() {
  static auto* memory = new DeviceMemory;
  return *memory;
}

void* DeviceMemory::allocate(size_t bytes, MemoryKind kind, bool usable) {
  Stretch& stretch = device_stretch();
  const size_t span = pages_for(bytes) + kPage;  // and a page that nobody may touch
  if (span > stretch.bytes) return nullptr;
  if (next_ == 0) next_ = stretch.begin;
  // The next gap that is wide enough, from where the last search ended, once around.
  uintptr_t at = next_;
  bool wrapped = false;
  for (;;) {
    if (at + span > stretch.begin + stretch.bytes) {
      if (wrapped) return nullptr;
      wrapped = true;
      at = stretch.begin;
    }
    const auto after = blocks_.lower_bound(at);
    if (after != blocks_.begin()) {
      const auto before = std::prev(after);
      const uintptr_t end = before->first + pages_for(before->second.bytes) + kPage;
      if (end > at) {
        at = end;
        continue;
      }
    }
    if (after == blocks_.end() || at + span <= after->first) break;
    at = after->first + pages_for(after->second.bytes) + kPage;
  }
  next_ = at + span;
  auto* memory = reinterpret_cast<void*>(at);
  if (mprotect(memory, pages_for(bytes), PROT_READ | PROT_WRITE) != 0) return nullptr;
  stretch.set_states(at, bytes, ByteState::unwritten);
  std::memset(memory, kPoison, bytes);
  stretch.set_states(at + bytes, span - bytes, ByteState::forbidden);
  if (!usable) stretch.set_states(at, bytes, ByteState::forbidden);
  blocks_.emplace(at, MemoryBlock{bytes, kind, ++number_, usable});
  if (kind == MemoryKind::device) in_use_ += bytes;
  return memory;
}

void DeviceMemory::make_usable(void* memory) {
  const auto at = reinterpret_cast<uintptr_t>(memory);
  const auto block = blocks_.find(at);
  if (block == blocks_.end()) return;
  block->second.usable = true;
  device_stretch().set_states(at, block->second.bytes, ByteState::unwritten);
}

bool DeviceMemory::release(void* memory, MemoryKind kind) {
  const auto at = reinterpret_cast<uintptr_t>(memory);
  const auto block = blocks_.find(at);
  if (block == blocks_.end() || block->second.kind != kind) return false;
  const size_t pages = pages_for(block->second.bytes);
  device_stretch().set_states(at, pages, ByteState::forbidden);
  device_stretch().forget(at, pages);
  madvise(memory, pages, MADV_DONTNEED);
  mprotect(memory, pages, PROT_NONE);
  if (kind == MemoryKind::device) in_use_ -= block->second.bytes;
  blocks_.erase(block);
  return true;
}

void DeviceMemory::release_all() {
  while (!blocks_.empty()) release(reinterpret_cast<void*>(blocks_.begin()->first), blocks_.begin()->second.kind);
}

DeviceMemory::Blocks::const_iterator DeviceMemory::around(uintptr_t address) const {
  auto block = blocks_.upper_bound(address);
  if (block == blocks_.begin()) return blocks_.end();
  --block;
  return block;
}

const MemoryBlock* DeviceMemory::find(const void* memory) const {
  const auto block = blocks_.find(reinterpret_cast<uintptr_t>(memory));
  return block == blocks_.end() ? nullptr : &block->second;
}

MemoryKind DeviceMemory::kind_of(const void* address) const {
  const auto at = reinterpret_cast<uintptr_t>(address);
  const auto block = around(at);
  return block != blocks_.end() && at < block->first + block->second.bytes ? block->second.kind : MemoryKind::pageable;
}

std::string DeviceMemory::problem(const void* memory, size_t bytes) const {
  const auto at = reinterpret_cast<uintptr_t>(memory);
  if (!device_stretch().holds(at)) return {};  // pageable: not ours to know
  const auto block = around(at);
  if (block != blocks_.end() && block->second.usable && at + bytes <= block->first + block->second.bytes) return {};
  return fmt::format("{} bytes at {}", bytes, describe(at));
}

std::string DeviceMemory::describe(uintptr_t address) const {
  const auto block = around(address);
  if (block != blocks_.end() && address < block->first + pages_for(block->second.bytes) + kPage) {
    const MemoryBlock& b = block->second;
    return fmt::format("byte {} of {} block {} ({} bytes{})", address - block->first, name_of(b.kind), b.number,
                       b.bytes, b.usable ? "" : ", not allocated yet in stream order");
  }
  return fmt::format("{:#x}, device memory that is freed or was never allocated", address);
}

}  // namespace graft::cuda_on_host
