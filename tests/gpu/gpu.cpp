#include "tests/gpu/gpu.h"

#include <iterator>

#include "core/cuda_plugin.h"
#include "core/error.h"
#include "tests/support/test_data.h"

namespace graft::test {

namespace {

// Runs a call on a stream of its own that is being captured, then what was captured.
Status capture_and_replay(Primitive primitive, CallContext* context, const void* args) {
  const Backend& backend = gpu().device->backend();
  const DeviceFunctions& device = backend.device;
  StreamHandle stream = nullptr;
  CaptureHandle capture = nullptr;
  Status status = device.create_stream(backend.self, &stream);
  if (status != Status::ok) return status;
  status = device.begin_capture(backend.self, stream);
  if (status == Status::ok) {
    CallContext captured = *context;
    captured.stream = stream;
    status = backend.run[static_cast<int>(primitive)](&captured, args);
    context->kernel = captured.kernel;
    const Status ended = device.end_capture(backend.self, stream, &capture);
    if (status == Status::ok) status = ended;
    if (status == Status::ok) status = device.replay(backend.self, stream, capture);
    if (status == Status::ok) status = device.synchronize(backend.self, stream);
    if (capture) device.destroy_capture(backend.self, capture);
  }
  device.destroy_stream(backend.self, stream);
  return status;
}

}  // namespace

const Gpu& gpu() {
  static const Gpu opened = []() -> Gpu {
    try {
      return {.device = open_cuda(0), .reason = ""};
    } catch (const Error& e) {
      return {.device = nullptr, .reason = e.what()};
    }
  }();
  return opened;
}

const Gpu* need_gpu() {
  if (gpu().device) return &gpu();
  skip("gpu", gpu().reason);
  return nullptr;
}

Backend gpu_backend() {
  Backend backend = gpu().device->backend();
  backend.destroy = nullptr;
  return backend;
}

Backend replaying_backend() {
  Backend backend = gpu_backend();
#define X(name, Args)                                                                           \
  backend.run[static_cast<int>(Primitive::name)] = [](CallContext* context, const void* args) { \
    return capture_and_replay(Primitive::name, context, args);                                  \
  };
  GRAFT_PRIMITIVES(X)
#undef X
  return backend;
}

}  // namespace graft::test
