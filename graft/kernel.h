// A kernel of your own, for `graft bench kernels --kernel LIB.so:SYMBOL`: a function of a primitive's arguments, which
// contract/primitives.h defines: formula, shapes, types.
//
//   #include <graft/kernel.h>
//
//   extern "C" graft::Status my_relu(graft::CallContext* call, const graft::ActivateArgs* a) {
//     if (a->activation != graft::Activation::relu) return graft::Status::unsupported;
//     for (int64_t i = 0; i < a->x.numel(); ++i) a->y.as<float>()[i] = std::max(a->x.as<float>()[i], 0.f);
//     call->kernel = "plain loop";  // optional: what the table calls it
//     return graft::Status::ok;
//   }
//   GRAFT_KERNEL(my_relu)
//
// A view's memory lies where the device computes: in host memory, or on a GPU, where call->stream is the cudaStream_t
// to launch on. Images are [N, H, W, C]. call->workspace is null: memory beside the views is the kernel's own affair.
#pragma once
#include "contract/backend.h"

namespace graft {

// What GRAFT_KERNEL writes beside a function, so that nothing of another version of graft is called.
struct KernelInfo {
  uint32_t bytes = sizeof(KernelInfo);
  uint32_t contract_version = kContractVersion;
  int32_t primitive_count = kPrimitiveCount;
  Primitive primitive = {};
  uint64_t args_bytes = 0;
};

template <typename Args>
constexpr KernelInfo kernel_info(Status (*)(CallContext*, const Args*)) {
  static_assert(primitive_of<Args> != Primitive{-1}, "the second argument is a primitive's: const graft::Conv2dArgs*");
  return {.primitive = primitive_of<Args>, .args_bytes = sizeof(Args)};
}

#define GRAFT_KERNEL(symbol)                                                           \
  extern "C" {                                                                         \
  extern __attribute__((visibility("default"))) const graft::KernelInfo symbol##_info; \
  const graft::KernelInfo symbol##_info = graft::kernel_info(&(symbol));               \
  }

}  // namespace graft
