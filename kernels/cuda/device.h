// The contract's device functions over CUDA's run-time.
#pragma once
#include <memory>

#include "contract/backend.h"

namespace graft::cuda {

// cuDNN's handle and plans: cudnn_convolution.cpp. Nothing is opened before a convolution asks.
struct CudnnConvolutions;
CudnnConvolutions* make_cudnn_convolutions();  // nullptr: every convolution is graft's own
void destroy(CudnnConvolutions*);

// cuBLASLt's handle and algorithms: cublaslt_matmul.cpp. Nothing is opened before a matrix product asks.
struct CublasLtProducts;
CublasLtProducts* make_cublaslt_products();  // nullptr: every product is graft's own
void destroy(CublasLtProducts*);

struct Choices;  // ways.h

// Backend::self; and each described piece's, with the choices of then.
struct CudaBackend {
  int32_t device = 0;
  int32_t multiprocessors = 0;
  char description[320] = "";
  CudnnConvolutions* cudnn = nullptr;
  CublasLtProducts* cublaslt = nullptr;
  std::shared_ptr<const Choices> choices;  // read by choices_of
};

// Makes the backend's device the thread's current one, which launches and allocations refer to.
Status select_device(void* self);

DeviceFunctions device_functions();

}  // namespace graft::cuda
