// cuDNN 9's graph API as far as graft uses it: its functions, found at run time, and its descriptors.
//
// cuDNN is called through descriptors that are made, given attributes and finalised (its "backend API"). NVIDIA's
// header-only C++ layer above it is left out: it takes 40 s to compile and hides the descriptors, which the tests read
// back. A dozen functions do.
#pragma once
#include <cudnn_graph.h>

#include <cstdint>
#include <utility>

namespace graft::cuda {

#define GRAFT_CUDNN_FUNCTIONS(X)   \
  X(cudnnGetVersion)               \
  X(cudnnGetErrorString)           \
  X(cudnnCreate)                   \
  X(cudnnDestroy)                  \
  X(cudnnSetStream)                \
  X(cudnnBackendCreateDescriptor)  \
  X(cudnnBackendDestroyDescriptor) \
  X(cudnnBackendFinalize)          \
  X(cudnnBackendSetAttribute)      \
  X(cudnnBackendGetAttribute)      \
  X(cudnnBackendExecute)

// Pointers to cuDNN's functions, under cuDNN's names.
struct Cudnn {
#define X(function) decltype(&::function) function = nullptr;
  GRAFT_CUDNN_FUNCTIONS(X)
#undef X
};

// Opened by the first who asks, for good; nullptr: not here, or of another major version (libraries.h says why).
const Cudnn* cudnn();

// One of cuDNN's descriptors. The first failure is kept and what follows does nothing, so that only the end is asked.
class CudnnDescriptor {
 public:
  CudnnDescriptor(const Cudnn& api, cudnnBackendDescriptorType_t type) : api_(&api) {
    status_ = api.cudnnBackendCreateDescriptor(type, &descriptor_);
  }
  CudnnDescriptor(CudnnDescriptor&& other) noexcept
      : api_(other.api_), descriptor_(std::exchange(other.descriptor_, nullptr)), status_(other.status_) {}
  CudnnDescriptor& operator=(CudnnDescriptor&& other) noexcept {
    std::swap(api_, other.api_);
    std::swap(descriptor_, other.descriptor_);
    std::swap(status_, other.status_);
    return *this;
  }
  ~CudnnDescriptor() {
    if (descriptor_ != nullptr) (void)api_->cudnnBackendDestroyDescriptor(descriptor_);
  }

  template <typename T>
  CudnnDescriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T* values,
                       int64_t count) {
    if (ok()) status_ = api_->cudnnBackendSetAttribute(descriptor_, name, type, count, values);
    return *this;
  }
  template <typename T>
  CudnnDescriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T& value) {
    return set(name, type, &value, 1);
  }
  CudnnDescriptor& set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value) {
    if (ok()) status_ = value.status_;
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, &value.descriptor_, 1);
  }
  CudnnDescriptor& finalize() {
    if (ok()) status_ = api_->cudnnBackendFinalize(descriptor_);
    return *this;
  }

  // How many values there are, of which at most `room` are written; -1: it has no such attribute. For an attribute that
  // is a descriptor, `out` points to one of that kind that cuDNN fills.
  template <typename T>
  int64_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, T* out, int64_t room) const {
    int64_t count = 0;
    const bool good =
        ok() && api_->cudnnBackendGetAttribute(descriptor_, name, type, room, &count, out) == CUDNN_STATUS_SUCCESS;
    return good ? count : -1;
  }

  bool ok() const { return status_ == CUDNN_STATUS_SUCCESS; }
  cudnnStatus_t status() const { return status_; }
  cudnnBackendDescriptor_t raw() const { return descriptor_; }

 private:
  const Cudnn* api_;
  cudnnBackendDescriptor_t descriptor_ = nullptr;
  cudnnStatus_t status_;
};

}  // namespace graft::cuda
