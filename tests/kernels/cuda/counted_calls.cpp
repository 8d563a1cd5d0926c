#include "tests/kernels/cuda/counted_calls.h"

#include <cuda_runtime_api.h>

namespace graft::test {

namespace {

Backend counted;  // its own functions
CountedCalls calls;

bool is_pageable(const void* memory) {
  cudaPointerAttributes attributes;
  return cudaPointerGetAttributes(&attributes, memory) != cudaSuccess || attributes.type == cudaMemoryTypeUnregistered;
}

}  // namespace

CountedCalls& count_calls(Backend* backend) {
  counted = *backend;
  calls = {};
  DeviceFunctions& d = backend->device;
  d.allocate = [](void* self, int64_t bytes, void** memory) {
    ++calls.allocations;
    return counted.device.allocate(self, bytes, memory);
  };
  d.allocate_host = [](void* self, int64_t bytes, void** memory) {
    ++calls.allocations;
    return counted.device.allocate_host(self, bytes, memory);
  };
  d.copy = [](void* self, StreamHandle stream, void* to, const void* from, int64_t bytes, CopyKind kind) {
    calls.synchronisations += is_pageable(to) || is_pageable(from);
    return counted.device.copy(self, stream, to, from, bytes, kind);
  };
  d.synchronize = [](void* self, StreamHandle stream) {
    ++calls.synchronisations;
    return counted.device.synchronize(self, stream);
  };
  d.record_event = [](void* self, EventHandle event, StreamHandle stream) {
    if (stream == nullptr) calls.recorded.push_back(event);
    return counted.device.record_event(self, event, stream);
  };
  d.synchronize_event = [](void* self, EventHandle event) {
    calls.waited_for.push_back(event);
    return counted.device.synchronize_event(self, event);
  };
  d.begin_capture = [](void* self, StreamHandle stream) {
    ++calls.captures;
    return counted.device.begin_capture(self, stream);
  };
  d.replay = [](void* self, StreamHandle stream, CaptureHandle capture) {
    ++calls.replays;
    return counted.device.replay(self, stream, capture);
  };
#define X(name, Args)                                                                            \
  backend->run[static_cast<int>(Primitive::name)] = [](CallContext* context, const void* args) { \
    ++calls.primitives;                                                                          \
    return counted.run[static_cast<int>(Primitive::name)](context, args);                        \
  };
  GRAFT_PRIMITIVES(X)
#undef X
  backend->compile.execute = [](const Executable* e, const ExecuteArgs* args, StreamHandle stream) {
    ++calls.executions;
    return counted.compile.execute(e, args, stream);
  };
  return calls;
}

}  // namespace graft::test
