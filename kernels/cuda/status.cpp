#include "kernels/cuda/status.h"

#include <cstdarg>
#include <cstdio>

namespace graft::cuda {

namespace {
thread_local char error_text[512] = "";

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
      return "; the device can no longer be used by this process, start it again";
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

}  // namespace graft::cuda
