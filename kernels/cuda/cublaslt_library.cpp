#include "kernels/cuda/cublaslt_library.h"

#include <dlfcn.h>

#include "kernels/cuda/libraries.h"

namespace graft::cuda {

const CublasLt* cublaslt() {
  static const CublasLt* opened = []() -> const CublasLt* {
    static CublasLt api;
    void* library = open_cublaslt(nullptr);
    if (library == nullptr) return nullptr;
    bool complete = true;
#define X(function)                                                                  \
  api.function = reinterpret_cast<decltype(&::function)>(dlsym(library, #function)); \
  complete &= api.function != nullptr;
    GRAFT_CUBLASLT_FUNCTIONS(X)
#undef X
    return complete ? &api : nullptr;
  }();
  return opened;
}

}  // namespace graft::cuda
