// The device's memory and pinned host memory: blocks of exactly the bytes asked for, between pages that nobody may
// touch. Filled with NaN patterns when allocated, gone when freed, and an address comes again only when all others have
// been used.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace graft::cuda_on_host {

enum class MemoryKind { pageable, device, pinned };

struct MemoryBlock {
  size_t bytes = 0;
  MemoryKind kind = MemoryKind::device;
  uint64_t number = 0;  // counted from the start of the program
  bool usable = true;   // false: allocated in stream order, and the stream has not come to it
};

class DeviceMemory {
 public:
  void* allocate(size_t bytes, MemoryKind, bool usable);  // nullptr: no address space left
  void make_usable(void*);
  bool release(void*, MemoryKind);  // false: no such block
  void release_all();

  const MemoryBlock* find(const void*) const;      // the block that begins here
  MemoryKind kind_of(const void* address) const;   // pageable where no block is
  std::string problem(const void*, size_t) const;  // "" when the bytes lie in one usable block
  std::string describe(uintptr_t address) const;   // "byte 4100 of device block 3 (4096 bytes)"
  size_t bytes_in_use() const { return in_use_; }

 private:
  using Blocks = std::map<uintptr_t, MemoryBlock>;
  Blocks::const_iterator around(uintptr_t address) const;

  Blocks blocks_;
  uintptr_t next_ = 0;
  uint64_t number_ = 0;
  size_t in_use_ = 0;
};
DeviceMemory& device_memory();

}  // namespace graft::cuda_on_host
