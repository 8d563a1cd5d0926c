// Allocation, copies and fills.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "tests/cuda_on_host/device_memory.h"
#include "tests/cuda_on_host/findings.h"
#include "tests/cuda_on_host/memory_map.h"
#include "tests/cuda_on_host/queue.h"

using namespace graft::cuda_on_host;

namespace {

// Allocations and frees that wait for the device are not allowed while anything is captured (in the modes that watch
// for it).
bool spoils_capture(Device& d) {
  bool spoils = false;
  for (const auto& capture : d.captures())
    if (capture->mode != cudaStreamCaptureModeRelaxed) spoils = capture->invalidated = true;
  return spoils;
}

bool fits(const Device& d, size_t bytes) {
  return d.reserved_bytes <= d.faults.memory_limit && bytes <= d.faults.memory_limit - d.reserved_bytes;
}

cudaError_t allocate(Device& d, void** memory, size_t bytes, bool usable) {
  *memory = nullptr;
  if (bytes == 0) return cudaSuccess;
  if (strike(d.faults.allocation) || !fits(d, bytes)) return cudaErrorMemoryAllocation;
  *memory = device_memory().allocate(bytes, MemoryKind::device, usable);
  if (!*memory) return cudaErrorMemoryAllocation;
  d.reserved_bytes += bytes;
  return cudaSuccess;
}

cudaError_t found(const std::string& text) {
  add_finding(text);
  return cudaErrorIllegalAddress;
}

// In the order of the checks: the bytes are there; nothing touches them at the same time.
std::string check(const char* what, const void* memory, size_t bytes, Access access) {
  std::string problem = device_memory().problem(memory, bytes);
  if (!problem.empty())
    return fmt::format("{}: out of bounds: {} of {}", what, access == Access::read ? "read" : "write", problem);
  problem = race_checker().operation_access(memory, bytes, access);
  return problem.empty() ? problem : fmt::format("{}: {}", what, problem);
}

void free_in_stream(Device& d, void* memory) {
  const MemoryBlock* block = device_memory().find(memory);
  if (!block) return;
  d.reserved_bytes -= block->bytes;
  device_memory().release(memory, MemoryKind::device);
}

// What a copy leaves is as written as what it took.
void copy_states(void* to, const void* from, size_t bytes) {
  Stretch& stretch = device_stretch();
  const auto out = reinterpret_cast<uintptr_t>(to), in = reinterpret_cast<uintptr_t>(from);
  if (!kRaceBuild || !stretch.holds(out)) return;
  if (stretch.holds(in))
    std::memmove(stretch.states + (out - stretch.begin), stretch.states + (in - stretch.begin), bytes);
  else
    stretch.set_states(out, bytes, ByteState::written);
}

cudaError_t run_copy(void* to, const void* from, size_t bytes) {
  if (strike(device().faults.copy)) return cudaErrorUnknown;
  if (const auto problem = check("copy", from, bytes, Access::read); !problem.empty()) return found(problem);
  if (const auto problem = check("copy", to, bytes, Access::write); !problem.empty()) return found(problem);
  std::memmove(to, from, bytes);
  copy_states(to, from, bytes);
  return cudaSuccess;
}

bool direction_fits(const void* to, const void* from, cudaMemcpyKind kind) {
  const bool to_device =
      device_stretch().holds(reinterpret_cast<uintptr_t>(to)) && device_memory().kind_of(to) != MemoryKind::pinned;
  const bool from_device =
      device_stretch().holds(reinterpret_cast<uintptr_t>(from)) && device_memory().kind_of(from) != MemoryKind::pinned;
  switch (kind) {
    case cudaMemcpyHostToHost:
      return !to_device && !from_device;
    case cudaMemcpyHostToDevice:
      return to_device && !from_device;
    case cudaMemcpyDeviceToHost:
      return !to_device && from_device;
    case cudaMemcpyDeviceToDevice:
      return to_device && from_device;
    case cudaMemcpyDefault:
      return true;
  }
  return false;
}

bool is_pageable(const void* memory) { return !device_stretch().holds(reinterpret_cast<uintptr_t>(memory)); }

// From pageable memory a copy takes the bytes as they are at the call; to pageable memory it returns when they are
// there. Pinned memory is read and written when the copy runs.
cudaError_t copy(Device& d, Stream& stream, void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (bytes == 0) return cudaSuccess;
  if (!to || !from) return cudaErrorInvalidValue;
  if (!direction_fits(to, from, kind)) {
    add_finding(fmt::format("cudaMemcpy: the direction given does not fit the addresses {} and {}", to, from));
    return cudaErrorInvalidMemcpyDirection;
  }
  if ((is_pageable(to) || is_pageable(from)) && stream.capture) {
    add_finding("cudaMemcpyAsync: pageable memory in a capture: a replay would read or write it wherever it is then");
    stream.capture->invalidated = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  if (is_pageable(from)) {
    const auto* begin = static_cast<const std::byte*>(from);
    auto staged = std::make_shared<const std::vector<std::byte>>(begin, begin + bytes);
    return d.enqueue(stream, "copy", [=] { return run_copy(to, staged->data(), bytes); });
  }
  if (const cudaError_t error = d.enqueue(stream, "copy", [=] { return run_copy(to, from, bytes); });
      error != cudaSuccess)
    return error;
  return is_pageable(to) ? d.run_until({stream.last}) : cudaSuccess;
}

}  // namespace

extern "C" {

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  return entry([&](Device& d) {
    if (!memory) return cudaErrorInvalidValue;
    return spoils_capture(d) ? cudaErrorStreamCaptureUnsupported : allocate(d, memory, bytes, true);
  });
}

cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t handle) {
  return entry([&](Device& d) {
    Stream* stream = d.stream_of(handle);
    if (!memory) return cudaErrorInvalidValue;
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (stream->capture) {  // CUDA would put it into the graph; graft plans its memory before
      stream->capture->invalidated = true;
      return cudaErrorNotSupported;
    }
    if (const cudaError_t error = allocate(d, memory, bytes, false); error != cudaSuccess || !*memory) return error;
    return d.enqueue(*stream, "cudaMallocAsync", [memory = *memory] {
      device_memory().make_usable(memory);
      race_checker().operation_access(memory, device_memory().find(memory)->bytes, Access::write);
      return cudaSuccess;
    });
  });
}

// Waits for everything that was queued.
cudaError_t cudaFree(void* memory) {
  return entry([&](Device& d) {
    if (!memory) return cudaSuccess;
    if (spoils_capture(d)) return cudaErrorStreamCaptureUnsupported;
    const MemoryBlock* block = device_memory().find(memory);
    if (!block || block->kind != MemoryKind::device) {
      add_finding(fmt::format("cudaFree: {} is no device memory, or is freed already", memory));
      return cudaErrorInvalidValue;
    }
    if (const cudaError_t error = d.run_all(); error != cudaSuccess) return error;
    free_in_stream(d, memory);
    return cudaSuccess;
  });
}

cudaError_t cudaFreeAsync(void* memory, cudaStream_t handle) {
  return entry([&](Device& d) {
    Stream* stream = d.stream_of(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (!memory) return cudaSuccess;
    const MemoryBlock* block = device_memory().find(memory);
    if (!block || block->kind != MemoryKind::device) {
      add_finding(fmt::format("cudaFreeAsync: {} is no device memory, or is freed already", memory));
      return cudaErrorInvalidValue;
    }
    if (stream->capture) {
      stream->capture->invalidated = true;
      return cudaErrorNotSupported;
    }
    return d.enqueue(*stream, "cudaFreeAsync", [memory, bytes = block->bytes] {
      if (const auto problem = check("cudaFreeAsync", memory, bytes, Access::write); !problem.empty())
        return found(problem);
      free_in_stream(device(), memory);
      return cudaSuccess;
    });
  });
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  return entry([&](Device& d) {
    if (!memory) return cudaErrorInvalidValue;
    if (spoils_capture(d)) return cudaErrorStreamCaptureUnsupported;
    *memory = nullptr;
    if (bytes == 0) return cudaSuccess;
    if (strike(d.faults.allocation)) return cudaErrorMemoryAllocation;
    *memory = device_memory().allocate(bytes, MemoryKind::pinned, true);
    if (!*memory) return cudaErrorMemoryAllocation;
    device_stretch().set_states(reinterpret_cast<uintptr_t>(*memory), bytes,
                                ByteState::written);  // the host's writes are unseen
    return cudaSuccess;
  });
}
cudaError_t cudaMallocHost(void** memory, size_t bytes) { return cudaHostAlloc(memory, bytes, cudaHostAllocDefault); }

// At once: whoever frees what a queued copy needs has a defect, and the copy will tell.
cudaError_t cudaFreeHost(void* memory) {
  return entry([&](Device&) {
    if (!memory || device_memory().release(memory, MemoryKind::pinned)) return cudaSuccess;
    add_finding(fmt::format("cudaFreeHost: {} is no pinned memory, or is freed already", memory));
    return cudaErrorInvalidValue;
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t handle) {
  return entry([&](Device& d) {
    Stream* stream = d.stream_of(handle);
    return stream ? copy(d, *stream, to, from, bytes, kind) : cudaErrorInvalidResourceHandle;
  });
}

// In the default stream; returns when the bytes are there, unless both sides are the device's.
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return entry([&](Device& d) {
    if (spoils_capture(d)) return cudaErrorStreamCaptureUnsupported;
    Stream& stream = *d.streams[0];
    if (const cudaError_t error = copy(d, stream, to, from, bytes, kind); error != cudaSuccess || bytes == 0)
      return error;
    return kind == cudaMemcpyDeviceToDevice ? cudaSuccess : d.run_until({stream.last});
  });
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t handle) {
  return entry([&](Device& d) {
    Stream* stream = d.stream_of(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (bytes == 0) return cudaSuccess;
    if (!memory || is_pageable(memory)) return cudaErrorInvalidValue;
    return d.enqueue(*stream, "fill", [=] {
      if (const auto problem = check("fill", memory, bytes, Access::write); !problem.empty()) return found(problem);
      std::memset(memory, value, bytes);
      if (kRaceBuild) device_stretch().set_states(reinterpret_cast<uintptr_t>(memory), bytes, ByteState::written);
      return cudaSuccess;
    });
  });
}
cudaError_t cudaMemset(void* memory, int value, size_t bytes) { return cudaMemsetAsync(memory, value, bytes, nullptr); }

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total) {
  return entry([&](Device& d) {
    *total = d.faults.memory_limit;
    *free_bytes = d.reserved_bytes < *total ? *total - d.reserved_bytes : 0;
    return cudaSuccess;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* memory) {
  return entry([&](Device&) {
    *attributes = {};
    const MemoryKind kind = device_memory().kind_of(memory);
    attributes->type = kind == MemoryKind::device   ? cudaMemoryTypeDevice
                       : kind == MemoryKind::pinned ? cudaMemoryTypeHost
                                                    : cudaMemoryTypeUnregistered;
    if (kind == MemoryKind::pageable) return cudaSuccess;
    attributes->devicePointer = const_cast<void*>(memory);
    attributes->hostPointer = kind == MemoryKind::pinned ? const_cast<void*>(memory) : nullptr;
    return cudaSuccess;
  });
}
}
