// Runs the grid of a launch on this host thread: blocks in turn, a fiber for each thread of a block.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/cuda_on_host/cuda_on_host.h"

namespace graft::cuda_on_host {

inline constexpr unsigned kWarp = 32;
inline constexpr size_t kMostThreads = 1024;      // of a block
inline constexpr size_t kSharedBytes = 48 << 10;  // of a block, unless cudaFuncSetAttribute allowed more
inline constexpr size_t kSharedBytesOptIn = 227 << 10;

struct Launch {
  KernelCall call;
  dim3 grid, block;
  size_t shared_bytes;
  std::string kernel;  // demangled
};

std::string run_grid(const Launch&);  // what was found wrong, or ""

// From the code of a kernel: ends the grid's run.
[[noreturn]] void give_up_grid(std::string finding);

// Each lane gives three words at once; lane l gave first[l] and rest[l].
struct ThreeWords {
  const uint64_t* first;
  const uint64_t (*rest)[2];
};
ThreeWords warp_exchange(unsigned mask, const uint64_t (&words)[3], Site);

// The thread that runs.
struct RunningThread {
  uint32_t block = 0, thread = 0;       // linear
  const std::string* kernel = nullptr;  // null: none runs
};
const RunningThread& running_thread();

}  // namespace graft::cuda_on_host
