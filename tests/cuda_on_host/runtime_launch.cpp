// Launches: checked as CUDA checks them when they are made, queued, run later.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "tests/cuda_on_host/findings.h"
#include "tests/cuda_on_host/grid.h"
#include "tests/cuda_on_host/launched_kernels.h"
#include "tests/cuda_on_host/queue.h"

namespace graft::cuda_on_host {
namespace {

std::unordered_map<const void*, size_t>& allowed_shared_bytes() {
  static auto* bytes = new std::unordered_map<const void*, size_t>;
  return *bytes;
}

// CUDA C++ programming guide, technical specifications per compute capability.
bool is_valid(dim3 grid, dim3 block) {
  const bool grid_fits = grid.x && grid.y && grid.z && grid.x <= 0x7fffffffu && grid.y <= 65535 && grid.z <= 65535;
  const bool block_fits = block.x && block.y && block.z && block.x <= 1024 && block.y <= 1024 && block.z <= 64;
  return grid_fits && block_fits && size_t{block.x} * block.y * block.z <= kMostThreads;
}

}  // namespace

cudaError_t enqueue_kernel(KernelCall call, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t handle) {
  return entry([&](Device& d) {
    Stream* stream = d.stream_of(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (!is_valid(grid, block)) return cudaErrorInvalidConfiguration;
    const auto allowed = allowed_shared_bytes().find(call.kernel);
    if (shared_bytes > (allowed == allowed_shared_bytes().end() ? kSharedBytes : allowed->second))
      return cudaErrorInvalidValue;
    if (strike(d.faults.launch)) return cudaErrorLaunchOutOfResources;
    auto launch = std::make_shared<const Launch>(Launch{call, grid, block, shared_bytes, kernel_name(call.kernel)});
    return d.enqueue(*stream, launch->kernel, [launch] {
      const std::string finding = run_grid(*launch);
      if (finding.empty()) return cudaSuccess;
      add_finding(finding);
      return cudaErrorLaunchFailure;
    });
  });
}

}  // namespace graft::cuda_on_host

using namespace graft::cuda_on_host;

extern "C" {

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  return entry([&](Device&) {
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return cudaSuccess;
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 || size_t(value) > kSharedBytesOptIn)
      return cudaErrorInvalidValue;
    allowed_shared_bytes()[kernel] = size_t(value);
    return cudaSuccess;
  });
}

// Threads, blocks and shared memory of sm_90; registers are not known here.
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int threads, size_t shared_bytes) {
  return entry([&](Device&) {
    if (!blocks || threads <= 0 || threads > 1024) return cudaErrorInvalidValue;
    const size_t by_threads = 2048 / ((static_cast<size_t>(threads) + 31) / 32 * 32);
    const size_t by_shared = (size_t{228} << 10) / (shared_bytes + 1024);
    *blocks = static_cast<int>(std::min({by_threads, by_shared, size_t{32}}));
    return cudaSuccess;
  });
}
}
