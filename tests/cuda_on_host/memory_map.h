// The memory that kernels may touch, in two stretches of address space: the device's (with pinned host memory), and the
// shared memory of the block that runs. For each byte the map knows whether it may be touched and whether it was ever
// written. In the address build the same is told to the address sanitizer, which then finds what goes wrong.
#pragma once
#include <cstddef>
#include <cstdint>

namespace graft::cuda_on_host {

enum class ByteState : uint8_t { forbidden, unwritten, written };

// Who touched some bytes last, for the happens-before checker (race_checker.h).
struct Touch {
  uint32_t segment = 0;  // 0: nobody
  uint32_t lanes = 0;    // of one warp
  uint32_t clock = 0;    // the latest of theirs
  uint8_t warp = 0;
  bool several_warps = false;
  bool several_blocks = false;
  bool atomic = false;  // a write
};
struct Cell {
  Touch write, read;
};

struct Stretch {
  uintptr_t begin = 0;
  size_t bytes = 0;
  uint8_t* states = nullptr;  // ByteState of each byte
  // Cells hold zeros until touched; a stretch is far larger than what is ever used of it.
  Cell* words = nullptr;    // of each aligned 4 bytes
  Cell* singles = nullptr;  // of each byte, for words that were touched in parts
  bool* split = nullptr;    // of each word: it was

  bool holds(uintptr_t address) const { return address - begin < bytes; }
  void set_states(uintptr_t address, size_t count, ByteState);
  void forget(uintptr_t address, size_t count);  // the cells, of a whole number of pages
};

// Both are made on first use and live as long as the program.
Stretch& device_stretch();
Stretch& shared_stretch();
inline constexpr size_t kPage = 4096;
inline constexpr size_t kSharedStretchBytes = size_t{1} << 20;

}  // namespace graft::cuda_on_host
