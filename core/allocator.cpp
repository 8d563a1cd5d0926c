#include "core/allocator.h"

#include <algorithm>
#include <bit>
#include <span>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace graft {

namespace {

struct MemoryUse {
  const char* kind = "tensors";
  std::string name;
};
MemoryUse& use_of_this_thread() {
  thread_local MemoryUse use;
  return use;
}

std::string as_text(int64_t bytes) {
  const auto b = static_cast<double>(bytes);
  return b < 1e6 ? fmt::format("{:.1f} KB", b / 1e3) : fmt::format("{:.1f} MB", b / 1e6);
}

}  // namespace

MemoryScope::MemoryScope(const char* kind, std::string name)
    : previous_kind_(std::exchange(use_of_this_thread().kind, kind)),
      previous_name_(std::exchange(use_of_this_thread().name, std::move(name))) {}
MemoryScope::~MemoryScope() { use_of_this_thread() = {previous_kind_, std::move(previous_name_)}; }
const char* MemoryScope::kind() { return use_of_this_thread().kind; }
const std::string& MemoryScope::name() { return use_of_this_thread().name; }

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
    if (status != Status::ok) fail_to_allocate(status, size);
    statistics_.reserved += size;
    ++statistics_.device_allocations;
  }
  ++statistics_.allocations;
  statistics_.in_use += size;
  statistics_.peak = std::max(statistics_.peak, statistics_.in_use);
  try {
    in_use_[memory] = {MemoryScope::kind(), size};
  } catch (...) {  // no room for the note: an error that lists what is held leaves this one out
  }
  return memory;
}

void Allocator::fail_to_allocate(Status status, int64_t bytes) const {
  const char* text = backend_.device.last_error ? backend_.device.last_error(backend_.self) : "";
  std::string message =
      fmt::format("{} on {}: {} for the {}", name_of(status), backend_.name, as_text(bytes), MemoryScope::kind());
  if (!MemoryScope::name().empty()) message += " " + MemoryScope::name();
  if (*text != '\0') message += fmt::format(" ({})", text);
  if (status == Status::device_error) throw_device_error(std::move(message));
  if (status == Status::out_of_memory) {
    std::string holders;
    constexpr size_t kListed = 4;
    int64_t rest = statistics_.in_use;
    for (const std::vector<Held> all = held_by_kind();
         const Held& h : std::span(all).first(std::min(all.size(), kListed))) {
      holders += fmt::format("{}{} {}", holders.empty() ? "" : ", ", as_text(h.bytes), h.kind);
      rest -= h.bytes;
    }
    if (rest > 0) holders += fmt::format(", {} others", as_text(rest));
    message += fmt::format(
        "; held: {}. A smaller --batch, more layers frozen, --precision bf16 where a device has it, or another "
        "--device "
        "needs less",
        holders.empty() ? "nothing" : holders);
  }
  throw_error(std::move(message));
}

std::vector<Allocator::Held> Allocator::held_by_kind() const {
  std::map<std::string_view, Held> kinds;
  for (const auto& [memory, block] : in_use_) {
    Held& held = kinds.try_emplace(block.kind, Held{block.kind, 0, 0}).first->second;
    held.bytes += block.bytes;
    ++held.blocks;
  }
  std::vector<Held> all;
  for (const auto& [kind, held] : kinds) all.push_back(held);
  std::stable_sort(all.begin(), all.end(), [](const Held& a, const Held& b) { return a.bytes > b.bytes; });
  return all;
}

std::vector<Allocator::Held> Allocator::held() const {
  const std::lock_guard lock(mutex_);
  return held_by_kind();
}

void Allocator::release(void* memory, int64_t bytes) noexcept {
  if (!memory) return;
  const int64_t size = rounded(bytes);
  const std::lock_guard lock(mutex_);
  statistics_.in_use -= size;
  in_use_.erase(memory);
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
