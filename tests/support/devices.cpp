#include "tests/support/devices.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <vector>

#include "core/error.h"
#include "kernels/reference/reference_backend.h"

namespace graft::test {

namespace {

Backend reference_backend() {
  Backend backend;
  GRAFT_ASSERT(graft_reference_backend(&backend) == Status::ok);
  return backend;
}

// Everything that was asked for waits here, in order, until somebody has to know.
struct Queue {
  Backend inner = reference_backend();
  std::deque<std::function<Status()>> waiting;

  Status drain() {
    Status status = Status::ok;
    while (!waiting.empty()) {
      if (const Status s = waiting.front()(); status == Status::ok) status = s;
      waiting.pop_front();
    }
    return status;
  }
  static Queue& of(void* self) { return *static_cast<Queue*>(self); }
};

Status enqueue(CallContext* context, Primitive primitive, const void* args) {
  Queue& queue = Queue::of(context->self);
  std::vector<unsigned char> bytes(info_of(primitive).args_bytes);
  std::memcpy(bytes.data(), args, bytes.size());
  queue.waiting.push_back([&queue, primitive, bytes, workspace = context->workspace, size = context->workspace_bytes] {
    CallContext later{.self = queue.inner.self, .workspace = workspace, .workspace_bytes = size};
    return queue.inner.run[static_cast<int32_t>(primitive)](&later, bytes.data());
  });
  context->kernel = "queue";
  return Status::ok;
}

template <Primitive P>
Status enqueue_one(CallContext* context, const void* args) {
  return enqueue(context, P, args);
}

template <int... I>
void fill_run(Backend& backend, std::integer_sequence<int, I...>) {
  ((backend.run[I] = enqueue_one<static_cast<Primitive>(I)>), ...);
}

Backend queueing_backend() {
  Backend b;
  b.name = "queue";
  b.self = new Queue;
  b.destroy = [](void* self) {
    Queue& queue = Queue::of(self);
    queue.drain();
    if (queue.inner.destroy) queue.inner.destroy(queue.inner.self);
    delete &queue;
  };
  b.device.allocate = [](void* self, int64_t bytes, void** memory) {
    Queue& q = Queue::of(self);
    const Status status = q.inner.device.allocate(q.inner.self, bytes, memory);
    if (status == Status::ok) std::memset(*memory, 0xff, static_cast<size_t>(bytes));  // NaN until it is written
    return status;
  };
  b.device.release = [](void* self, void* memory, int64_t bytes) {
    Queue& q = Queue::of(self);
    q.drain();  // the device itself must not take memory back under queued work
    q.inner.device.release(q.inner.self, memory, bytes);
  };
  b.device.copy = [](void* self, StreamHandle, void* to, const void* from, int64_t bytes, CopyKind kind) {
    Queue& q = Queue::of(self);
    q.waiting.push_back(
        [&q, to, from, bytes, kind] { return q.inner.device.copy(q.inner.self, nullptr, to, from, bytes, kind); });
    return Status::ok;
  };
  b.device.synchronize = [](void* self, StreamHandle) { return Queue::of(self).drain(); };
  b.device.last_error = [](void*) { return ""; };
  b.workspace_bytes = [](void* self, Primitive p, const void* args) {
    Queue& q = Queue::of(self);
    return q.inner.workspace_bytes ? q.inner.workspace_bytes(q.inner.self, p, args) : int64_t{0};
  };
  fill_run(b, std::make_integer_sequence<int, kPrimitiveCount>());
  return b;
}

}  // namespace

std::shared_ptr<Device> cpu_device(CpuIsa max_isa, int threads) {
  Backend backend;
  const CpuOptions options{.threads = threads, .max_isa = max_isa};
  GRAFT_ASSERT(graft_cpu_backend(&options, &backend) == Status::ok);
  return Device::create(backend);
}

bool has_isa(CpuIsa isa) { return cpu_isa_of(cpu_device(isa, 1)->backend()) == isa; }

std::shared_ptr<Device> reference_device() { return Device::create(reference_backend()); }
std::shared_ptr<Device> queueing_device() { return Device::create(queueing_backend()); }

}  // namespace graft::test
