// Streams and events.
#include <cuda_runtime_api.h>

#include <algorithm>

#include "tests/cuda_on_host/findings.h"
#include "tests/cuda_on_host/queue.h"

using namespace graft::cuda_on_host;

namespace {

cudaError_t refuse_while_capturing(Stream& stream) {
  stream.capture->invalidated = true;
  return cudaErrorStreamCaptureUnsupported;
}

bool is_pending(const OperationPointer& operation) { return operation && !operation->done; }

// Whoever polls is told a few times that it is not done yet, and then it is.
cudaError_t poll(Device& d, const OperationPointer& operation, int& polls) {
  constexpr int kPatience = 3;
  if (is_pending(operation) && ++polls < kPatience) return cudaErrorNotReady;
  polls = 0;
  return d.run_until({operation});
}

}  // namespace

extern "C" {

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* handle, unsigned flags, int) {
  return entry([&](Device& d) {
    if (!handle || (flags & ~unsigned{cudaStreamNonBlocking})) return cudaErrorInvalidValue;
    const bool blocking = !(flags & cudaStreamNonBlocking);
    d.streams.push_back(std::make_unique<Stream>(Stream{.chain = d.chain_count++, .blocking = blocking}));
    *handle = reinterpret_cast<cudaStream_t>(d.streams.back().get());
    return cudaSuccess;
  });
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* handle, unsigned flags) {
  return cudaStreamCreateWithPriority(handle, flags, 0);
}
cudaError_t cudaStreamCreate(cudaStream_t* handle) {
  return cudaStreamCreateWithPriority(handle, cudaStreamDefault, 0);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return entry([&](Device&) {
    *least = 0;
    *greatest = -5;
    return cudaSuccess;
  });
}

// What the stream was given still runs.
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return entry([&](Device& d) {
    Stream* stream = d.stream_of(handle);
    if (!stream || stream == d.streams[0].get()) return cudaErrorInvalidResourceHandle;
    if (stream->capture) stream->capture->invalidated = true;
    if (is_pending(stream->last)) d.orphans.push_back(stream->last);
    std::erase_if(d.streams, [&](const auto& other) { return other.get() == stream; });
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return entry([&](Device& d) {
    Stream* stream = d.stream_of(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (stream->capture) return refuse_while_capturing(*stream);
    // The default stream has come to its end when the blocking streams have too.
    return stream == d.streams[0].get() ? d.run_until(d.before_next_of(*stream)) : d.run_until({stream->last});
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return entry([&](Device& d) {
    Stream* stream = d.stream_of(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (stream->capture) return refuse_while_capturing(*stream);
    return poll(d, stream->last, stream->polls);
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* handle, unsigned) {
  return entry([&](Device& d) {
    if (!handle) return cudaErrorInvalidValue;
    d.events.push_back(std::make_unique<Event>());
    *handle = reinterpret_cast<cudaEvent_t>(d.events.back().get());
    return cudaSuccess;
  });
}
cudaError_t cudaEventCreate(cudaEvent_t* handle) { return cudaEventCreateWithFlags(handle, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  return entry([&](Device& d) {
    const auto removed =
        std::erase_if(d.events, [&](const auto& event) { return event.get() == reinterpret_cast<Event*>(handle); });
    return removed ? cudaSuccess : cudaErrorInvalidResourceHandle;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event_handle, cudaStream_t handle) {
  return entry([&](Device& d) {
    Event* event = d.event_of(event_handle);
    Stream* stream = d.stream_of(handle);
    if (!event || !stream) return cudaErrorInvalidResourceHandle;
    if (stream->capture) {
      *event = {.capture = stream->capture, .frontier = stream->frontier};
      return cudaSuccess;
    }
    if (const cudaError_t error = d.enqueue(*stream, "an event's recording", {}); error != cudaSuccess) return error;
    *event = {.recorded = stream->last};
    return cudaSuccess;
  });
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned) {
  return cudaEventRecord(event, stream);
}

// CUDA takes an event that was never recorded for one that has happened. Whoever waits for it meant another, so it is a
// finding.
cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event_handle, unsigned) {
  return entry([&](Device& d) {
    Event* event = d.event_of(event_handle);
    Stream* stream = d.stream_of(handle);
    if (!event || !stream) return cudaErrorInvalidResourceHandle;
    if (event->capture) {
      if (stream->capture && stream->capture != event->capture) {
        stream->capture->invalidated = event->capture->invalidated = true;
        return cudaErrorStreamCaptureMerge;
      }
      if (!stream->capture) {  // joins
        stream->capture = event->capture;
        stream->branch = event->capture->graph->branches++;
        stream->is_origin = false;
        stream->frontier.clear();
      }
      stream->frontier.insert(stream->frontier.end(), event->frontier.begin(), event->frontier.end());
      return cudaSuccess;
    }
    if (stream->capture) {
      stream->capture->invalidated = true;
      return cudaErrorStreamCaptureIsolation;
    }
    if (!event->recorded) {
      add_finding("cudaStreamWaitEvent: waits for an event that was never recorded, which is no wait");
      return cudaSuccess;
    }
    auto before = d.before_next_of(*stream);
    before.push_back(event->recorded);
    stream->last = d.add_operation(stream->chain, "a wait for an event", {}, std::move(before));
    return cudaSuccess;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  return entry([&](Device& d) {
    Event* event = d.event_of(handle);
    if (!event) return cudaErrorInvalidResourceHandle;
    if (event->capture) {
      event->capture->invalidated = true;
      return cudaErrorCapturedEvent;
    }
    if (!event->recorded)
      add_finding("cudaEventSynchronize: waits for an event that was never recorded, which is no wait");
    return d.run_until({event->recorded});
  });
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  return entry([&](Device& d) {
    Event* event = d.event_of(handle);
    if (!event) return cudaErrorInvalidResourceHandle;
    if (event->capture) return cudaErrorCapturedEvent;
    return poll(d, event->recorded, event->polls);
  });
}

// Nothing takes time here: what was recorded and has happened lies one millisecond apart.
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin_handle, cudaEvent_t end_handle) {
  return entry([&](Device& d) {
    const Event *begin = d.event_of(begin_handle), *end = d.event_of(end_handle);
    if (!milliseconds || !begin || !end || !begin->recorded || !end->recorded) return cudaErrorInvalidResourceHandle;
    if (is_pending(begin->recorded) || is_pending(end->recorded)) return cudaErrorNotReady;
    *milliseconds = 1.0f;
    return cudaSuccess;
  });
}
}
