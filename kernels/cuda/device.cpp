// Memory, streams, events, copies, captures and ranges. Every function first makes its device the current one of the
// thread it is called on: a Device may be used from many threads, and a thread may use many devices.
#include "kernels/cuda/device.h"

#include <cuda_runtime_api.h>

#include <cstdio>

#include "kernels/cuda/ranges.h"
#include "kernels/cuda/status.h"

namespace graft::cuda {

namespace {

const CudaBackend& backend_of(void* self) { return *static_cast<CudaBackend*>(self); }
cudaStream_t stream_of(StreamHandle s) { return static_cast<cudaStream_t>(s); }
cudaEvent_t event_of(EventHandle e) { return static_cast<cudaEvent_t>(e); }

#define GRAFT_SELECT(self) \
  if (const Status selected = select_device(self); selected != Status::ok) return selected

Status allocate(void* self, int64_t bytes, void** memory) {
  *memory = nullptr;
  if (bytes < 0) return Status::invalid_argument;
  GRAFT_SELECT(self);
  const cudaError_t error = cudaMalloc(memory, bytes > 0 ? static_cast<size_t>(bytes) : 1);
  if (error == cudaSuccess) return Status::ok;
  char call[160];
  size_t free_bytes = 0, total_bytes = 0;
  if (cudaMemGetInfo(&free_bytes, &total_bytes) == cudaSuccess)
    std::snprintf(call, sizeof call, "cudaMalloc of %lld bytes, %zu MiB of the device's %zu MiB are free",
                  static_cast<long long>(bytes), free_bytes >> 20, total_bytes >> 20);
  else
    std::snprintf(call, sizeof call, "cudaMalloc of %lld bytes", static_cast<long long>(bytes));
  return status_of(error, call);
}

// Waits for the device: what was queued may still use the memory.
void release(void* self, void* memory, int64_t) {
  if (select_device(self) == Status::ok) (void)status_of(cudaFree(memory), "cudaFree");
}

// Page-locked, which is what lets a copy go on by itself.
Status allocate_host(void* self, int64_t bytes, void** memory) {
  *memory = nullptr;
  if (bytes < 0) return Status::invalid_argument;
  GRAFT_SELECT(self);
  char call[80];
  std::snprintf(call, sizeof call, "cudaHostAlloc of %lld bytes", static_cast<long long>(bytes));
  return status_of(cudaHostAlloc(memory, bytes > 0 ? static_cast<size_t>(bytes) : 1, cudaHostAllocDefault), call);
}
void release_host(void* self, void* memory) {
  if (select_device(self) == Status::ok) (void)status_of(cudaFreeHost(memory), "cudaFreeHost");
}

Status copy(void* self, StreamHandle stream, void* to, const void* from, int64_t bytes, CopyKind kind) {
  if (bytes < 0) return Status::invalid_argument;
  if (bytes == 0) return Status::ok;
  GRAFT_SELECT(self);
  constexpr cudaMemcpyKind kKinds[] = {cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice};
  constexpr const char* kCalls[] = {"copy to the device", "copy to the host", "copy within the device"};
  const auto index = static_cast<int32_t>(kind);
  return status_of(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kKinds[index], stream_of(stream)),
                   kCalls[index]);
}

// Not ordered with the default stream, so that two streams do overlap.
Status create_stream(void* self, StreamHandle* stream) {
  GRAFT_SELECT(self);
  cudaStream_t made = nullptr;
  const Status status = status_of(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "cudaStreamCreate");
  *stream = made;
  return status;
}
void destroy_stream(void* self, StreamHandle stream) {
  if (select_device(self) == Status::ok) (void)status_of(cudaStreamDestroy(stream_of(stream)), "cudaStreamDestroy");
}
Status synchronize(void* self, StreamHandle stream) {
  GRAFT_SELECT(self);
  return status_of(cudaStreamSynchronize(stream_of(stream)), "waiting for the device");
}

Status create_event(void* self, EventHandle* event) {
  GRAFT_SELECT(self);
  cudaEvent_t made = nullptr;
  const Status status = status_of(cudaEventCreateWithFlags(&made, cudaEventDisableTiming), "cudaEventCreate");
  *event = made;
  return status;
}
void destroy_event(void* self, EventHandle event) {
  if (select_device(self) == Status::ok) (void)status_of(cudaEventDestroy(event_of(event)), "cudaEventDestroy");
}
Status record_event(void* self, EventHandle event, StreamHandle stream) {
  GRAFT_SELECT(self);
  return status_of(cudaEventRecord(event_of(event), stream_of(stream)), "cudaEventRecord");
}
Status wait_event(void* self, StreamHandle stream, EventHandle event) {
  GRAFT_SELECT(self);
  return status_of(cudaStreamWaitEvent(stream_of(stream), event_of(event), 0), "cudaStreamWaitEvent");
}
Status synchronize_event(void* self, EventHandle event) {
  GRAFT_SELECT(self);
  return status_of(cudaEventSynchronize(event_of(event)), "waiting for an event");
}

// Relaxed would let another thread's allocation slip into a capture unseen; thread-local refuses only our own.
Status begin_capture(void* self, StreamHandle stream) {
  GRAFT_SELECT(self);
  return status_of(cudaStreamBeginCapture(stream_of(stream), cudaStreamCaptureModeThreadLocal),
                   "cudaStreamBeginCapture");
}
Status end_capture(void* self, StreamHandle stream, CaptureHandle* capture) {
  *capture = nullptr;
  GRAFT_SELECT(self);
  cudaGraph_t graph = nullptr;
  if (const Status status = status_of(cudaStreamEndCapture(stream_of(stream), &graph), "cudaStreamEndCapture");
      status != Status::ok)
    return status;
  cudaGraphExec_t made = nullptr;
  const Status status = status_of(cudaGraphInstantiate(&made, graph, 0), "cudaGraphInstantiate");
  (void)cudaGraphDestroy(graph);
  *capture = made;
  return status;
}
Status replay(void* self, StreamHandle stream, CaptureHandle capture) {
  GRAFT_SELECT(self);
  return status_of(cudaGraphLaunch(static_cast<cudaGraphExec_t>(capture), stream_of(stream)), "cudaGraphLaunch");
}
void destroy_capture(void* self, CaptureHandle capture) {
  if (select_device(self) == Status::ok)
    (void)status_of(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(capture)), "cudaGraphExecDestroy");
}

}  // namespace

Status select_device(void* self) { return status_of(cudaSetDevice(backend_of(self).device), "cudaSetDevice"); }

DeviceFunctions device_functions() {
  return {.allocate = allocate,
          .release = release,
          .copy = copy,
          .allocate_host = allocate_host,
          .release_host = release_host,
          .create_stream = create_stream,
          .destroy_stream = destroy_stream,
          .synchronize = synchronize,
          .create_event = create_event,
          .destroy_event = destroy_event,
          .record_event = record_event,
          .wait_event = wait_event,
          .synchronize_event = synchronize_event,
          .begin_capture = begin_capture,
          .end_capture = end_capture,
          .replay = replay,
          .destroy_capture = destroy_capture,
          .begin_range = [](void*, const char* name) { begin_range(name); },
          .end_range = [](void*) { end_range(); },
          .last_error = [](void*) { return last_error_text(); },
          .description = [](void* self) -> const char* { return backend_of(self).description; }};
}

}  // namespace graft::cuda
