#include "kernels/cuda/status.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace graft::cuda {

namespace {
thread_local char error_text[512] = "";

bool waits_for_each_call() {
  static const bool waits = [] {
    const char* value = std::getenv("GRAFT_CUDA_SYNC");
    return value != nullptr && std::strcmp(value, "1") == 0;
  }();
  return waits;
}

// A sticky error ends the process's use of the device; the others leave it as it was.
const char* advice(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return "";
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
      return waits_for_each_call() ? "; the device can no longer be used by this process, start it again"
                                   : "; the device can no longer be used by this process, start it again: with "
                                     "GRAFT_CUDA_SYNC=1 the call whose kernel fails is named";
    case cudaErrorECCUncorrectable:
    case cudaErrorDevicesUnavailable:
      return "; the device is lost, `nvidia-smi` may say why";
    default:
      return "";
  }
}
}  // namespace

void set_last_error(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang does not see va_start
  std::vsnprintf(error_text, sizeof error_text, format, arguments);
  va_end(arguments);
}

const char* last_error_text() { return error_text; }

Status status_of(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return Status::ok;
  set_last_error("%s: %s (%s)%s", call, cudaGetErrorString(error), cudaGetErrorName(error), advice(error));
  (void)cudaGetLastError();  // an error that is not sticky must not be met again by the next launch
  return error == cudaErrorMemoryAllocation ? Status::out_of_memory : Status::device_error;
}

Status launch_status(cudaError_t error, const char* kernel, dim3 grid, dim3 block, size_t shared_bytes) {
  if (error == cudaSuccess) return Status::ok;
  char call[160];
  std::snprintf(call, sizeof call, "%s<<<(%u,%u,%u), (%u,%u,%u), %zu bytes>>>", kernel, grid.x, grid.y, grid.z, block.x,
                block.y, block.z, shared_bytes);
  return status_of(error, call);
}

Status finished(const CallContext& call, Status status) {
  if (status != Status::ok || !waits_for_each_call()) return status;
  const auto stream = static_cast<cudaStream_t>(call.stream);
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  if (cudaStreamIsCapturing(stream, &capture) == cudaSuccess && capture != cudaStreamCaptureStatusNone) return status;
  return status_of(cudaStreamSynchronize(stream), call.kernel != nullptr ? call.kernel : "a call");
}

}  // namespace graft::cuda
