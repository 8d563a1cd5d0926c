#include "kernels/cuda/cuda_backend.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <new>

#include "kernels/cuda/compile.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/status.h"
#include "kernels/cuda/ways.h"

namespace graft::cuda {

const KernelTable& kernels() {
  static const KernelTable table = [] {
    KernelTable t;
#define X(family) enter_##family(t);
    GRAFT_CUDA_FAMILIES(X)
#undef X
    return t;
  }();
  return table;
}

namespace {

int64_t workspace_bytes(void* self, Primitive primitive, const void* args) {
  const auto index = static_cast<int32_t>(primitive);
  if (index < 0 || index >= kPrimitiveCount) return 0;
  const auto bytes = kernels().workspace_bytes[index];
  return bytes == nullptr ? 0 : bytes(self, args);
}

}  // namespace

Status make_backend(int32_t device, Backend* out) {
  cudaDeviceProp properties;
  if (const Status status = status_of(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
      status != Status::ok)
    return status;
  auto* self = new (std::nothrow) CudaBackend;
  if (self == nullptr) return Status::out_of_memory;
  self->device = device;
  if (const Status status = without_exceptions([&] {
        self->choices = std::make_shared<const Choices>();
        return Status::ok;
      });
      status != Status::ok) {
    delete self;
    return status;
  }
  self->cudnn = make_cudnn_convolutions();
  self->cublaslt = make_cublaslt_products();
  self->multiprocessors = properties.multiProcessorCount;
  std::snprintf(self->description, sizeof self->description, "%s, sm_%d%d, %d multiprocessors, %zu MiB",
                properties.name, properties.major, properties.minor, properties.multiProcessorCount,
                properties.totalGlobalMem >> 20);

  *out = Backend{};
  out->name = "cuda";
  out->self = self;
  out->destroy = [](void* backend) {
    auto* closed = static_cast<CudaBackend*>(backend);
    destroy(closed->cudnn);
    destroy(closed->cublaslt);
    delete closed;
  };
  out->device = device_functions();
  std::copy(std::begin(kernels().run), std::end(kernels().run), std::begin(out->run));
  out->workspace_bytes = workspace_bytes;
  out->compile = compile_functions();
  out->device.allow_tf32 = allow_tf32;
  out->tune = tune_functions();
  return Status::ok;
}

}  // namespace graft::cuda
