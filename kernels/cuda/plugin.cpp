// The one entry of libgraft_cuda.so.
#include "contract/plugin.h"

#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstring>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/libraries.h"
#include "kernels/cuda/status.h"

namespace graft::cuda {

namespace {

constexpr int kOldest = 80;  // compute capability 8.0: cp.async and bf16 tensor cores

Status count(int32_t* devices, char reason[kPluginTextBytes]) {
  *devices = 0;
  int found = 0;
  const cudaError_t error = cudaGetDeviceCount(&found);
  if (error == cudaErrorInsufficientDriver) {
    int driver = 0, runtime = 0;
    (void)cudaDriverGetVersion(&driver);
    (void)cudaRuntimeGetVersion(&runtime);
    std::snprintf(reason, kPluginTextBytes,
                  "the NVIDIA driver supports CUDA %d.%d, graft's kernels need %d.%d or newer: update the driver",
                  driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    return Status::device_error;
  }
  if (error == cudaErrorNoDevice) {
    std::snprintf(reason, kPluginTextBytes, "the driver sees no GPU (CUDA_VISIBLE_DEVICES may hide them)");
    return Status::device_error;
  }
  if (error != cudaSuccess) {
    std::snprintf(reason, kPluginTextBytes, "the NVIDIA driver cannot be used: %s (%s)", cudaGetErrorString(error),
                  cudaGetErrorName(error));
    return Status::device_error;
  }
  *devices = found;
  return Status::ok;
}

Status describe(int32_t device, PluginDevice* out) {
  *out = PluginDevice{};
  cudaDeviceProp properties;
  const Status status = status_of(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  if (status != Status::ok) {
    std::snprintf(out->reason, sizeof out->reason, "%.250s", last_error_text());
    return status;
  }
  std::snprintf(out->name, sizeof out->name, "%s", properties.name);
  out->compute_capability = properties.major * 10 + properties.minor;
  out->memory_bytes = static_cast<int64_t>(properties.totalGlobalMem);
  if (out->compute_capability < kOldest)
    std::snprintf(out->reason, sizeof out->reason,
                  "compute capability %d.%d is too old: graft's kernels are built for 8.0 and newer", properties.major,
                  properties.minor);
  return Status::ok;
}

Status create(int32_t device, Backend* out, char reason[kPluginTextBytes]) {
  int32_t devices = 0;
  if (const Status status = count(&devices, reason); status != Status::ok) return status;
  if (device < 0 || device >= devices) {
    std::snprintf(reason, kPluginTextBytes, "there is no device %d: the driver sees %d", device, devices);
    return Status::invalid_argument;
  }
  PluginDevice described;
  const Status seen = describe(device, &described);
  if (described.reason[0] != '\0') {
    std::memcpy(reason, described.reason, sizeof described.reason);
    return seen == Status::ok ? Status::unsupported : seen;
  }
  const Status status = make_backend(device, out);
  if (status != Status::ok) std::snprintf(reason, kPluginTextBytes, "%.250s", last_error_text());
  return status;
}

void not_called(PluginLibrary* out, const char* name, const char* variable) {
  *out = {.name = name};
  std::snprintf(out->text, sizeof out->text,
                "not called (built without its headers, or %s=0); graft's own kernels serve", variable);
}

int32_t libraries(PluginLibrary* out, int32_t room) {
  if (room > 0) calls_cudnn() ? (void)open_cudnn(&out[0]) : not_called(&out[0], "cuDNN", "GRAFT_CUDNN");
  if (room > 1) calls_cublaslt() ? (void)open_cublaslt(&out[1]) : not_called(&out[1], "cuBLASLt", "GRAFT_CUBLASLT");
  return 2;
}

constexpr Plugin kPlugin = {.abi_hash = kAbiHash,
                            .version = GRAFT_VERSION,
                            .count = count,
                            .describe = describe,
                            .create = create,
                            .libraries = libraries};

}  // namespace
}  // namespace graft::cuda

extern "C" __attribute__((visibility("default"))) const graft::Plugin* graft_plugin() { return &graft::cuda::kPlugin; }
