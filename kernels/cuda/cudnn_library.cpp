#include "kernels/cuda/cudnn_library.h"

#include <dlfcn.h>

#include "kernels/cuda/libraries.h"

namespace graft::cuda {

const Cudnn* cudnn() {
  static const Cudnn* opened = []() -> const Cudnn* {
    static Cudnn api;
    void* library = open_cudnn(nullptr);
    if (library == nullptr) return nullptr;
    bool complete = true;
#define X(function)                                                                  \
  api.function = reinterpret_cast<decltype(&::function)>(dlsym(library, #function)); \
  complete &= api.function != nullptr;
    GRAFT_CUDNN_FUNCTIONS(X)
#undef X
    return complete ? &api : nullptr;
  }();
  return opened;
}

}  // namespace graft::cuda
