// The tests' side of the host-run device: the order of things, planted failures, what was found, what was launched.
#pragma once
#include <driver_types.h>
#include <vector_types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace graft::cuda_on_host {

// Which build this is. In the race build kernels carry the hooks of -fsanitize=thread, and the happens-before checker
// stands behind them; in the address build they carry the address and undefined-behaviour sanitizers.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kAddressBuild = true;
#else
inline constexpr bool kAddressBuild = false;
#endif
inline constexpr bool kRaceBuild = !kAddressBuild;

enum class Order { forward, reverse, random };  // of the blocks of a grid and the threads of a block
struct Options {
  Order order = Order::forward;
  uint64_t seed = 1;  // of random thread orders, and of the order in which independent streams run
};
Options& options();

// The device as new: what is queued is dropped, memory freed, streams, events and graphs destroyed, options and faults
// as at start.
void reset();

// What the checkers found since the last call, each also printed when found. A program which ends with findings that
// nobody took fails with kFindingsExitCode.
std::vector<std::string> take_findings();
inline constexpr int kFindingsExitCode = 79;

// Failures to come. A count of 0 means the next one, kNever none.
inline constexpr int64_t kNever = -1;
struct Faults {
  int64_t allocation = kNever;            // cudaErrorMemoryAllocation
  size_t memory_limit = size_t{4} << 30;  // bytes of device memory there are
  int64_t launch = kNever;                // cudaErrorLaunchOutOfResources, at once
  int64_t copy = kNever;                  // a copy fails when it runs: cudaErrorUnknown, and the device is lost
  int64_t operation =
      kNever;  // the device is lost in the n-th queued operation that runs: every later call returns `lost`
  cudaError_t lost = cudaErrorLaunchFailure;
  bool no_driver = false;  // every call: cudaErrorInsufficientDriver
};
void plant(const Faults&);

struct LaunchedKernel {
  uint64_t launches = 0;
  uint64_t most_blocks = 0;        // in one launch
  uint64_t most_threads = 0;       // in one block
  size_t most_shared_bytes = 0;    // dynamic, in one launch
  size_t static_shared_bytes = 0;  // declared by the blocks that ran
};
// By demangled name, with template arguments: "void graft::cuda::relu<float>(float*, long)". Every launch that ran
// since the program began; reset() keeps it.
const std::map<std::string, LaunchedKernel>& launched_kernels();

struct Statistics {
  uint64_t blocks = 0, threads = 0, switches = 0, operations = 0;
};
Statistics& statistics();

size_t device_bytes_in_use();

}  // namespace graft::cuda_on_host
