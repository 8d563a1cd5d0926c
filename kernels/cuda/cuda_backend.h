// The CUDA backend's table. Each family of kernels enters its primitives.
#pragma once
#include <cstdint>

#include "contract/backend.h"
#include "contract/check_args.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/status.h"

namespace graft::cuda {

struct KernelTable {
  Status (*run[kPrimitiveCount])(CallContext*, const void* args) = {};
  int64_t (*workspace_bytes[kPrimitiveCount])(void* self, const void* args) = {};  // nullptr: none
};

const KernelTable& kernels();  // of all families

template <typename Args>
using Launcher = Status (*)(CallContext&, const Args&);

// A launcher for each element type; nullptr: unsupported. A call without such a type takes the first.
template <typename Args, Launcher<Args> kF32, Launcher<Args> kBf16 = nullptr, Launcher<Args> kF16 = nullptr>
void enter(KernelTable& table) {
  table.run[static_cast<int>(primitive_of<Args>)] = [](CallContext* call, const void* args) {
    constexpr Primitive kPrimitive = primitive_of<Args>;
    if (const Status status = check_args(kPrimitive, args); status != Status::ok) return status;
    const DType type = computes_in(kPrimitive, args);
    const Launcher<Args> run = type == DType::f32 || type == DType::none ? kF32
                               : type == DType::bf16                     ? kBf16
                               : type == DType::f16                      ? kF16
                                                                         : nullptr;
    if (run == nullptr) return Status::unsupported;
    if (!check_memory(kPrimitive, args)) return Status::invalid_argument;
    if (const Status status = select_device(call->self); status != Status::ok) return status;
    return finished(*call, run(*call, *static_cast<const Args*>(args)));
  };
}
// Of shapes and types alone, any element type.
template <typename Args, int64_t (*Bytes)(const Args&)>
void enter_workspace(KernelTable& table) {
  table.workspace_bytes[static_cast<int>(primitive_of<Args>)] = [](void*, const void* args) {
    if (check_args(primitive_of<Args>, args) != Status::ok) return int64_t{0};
    return Bytes(*static_cast<const Args*>(args));
  };
}
// And of the backend.
template <typename Args, int64_t (*Bytes)(void* self, const Args&)>
void enter_workspace(KernelTable& table) {
  table.workspace_bytes[static_cast<int>(primitive_of<Args>)] = [](void* self, const void* args) {
    if (check_args(primitive_of<Args>, args) != Status::ok) return int64_t{0};
    return Bytes(self, *static_cast<const Args*>(args));
  };
}

#define GRAFT_CUDA_FAMILIES(X) \
  X(batch_norm)                \
  X(batch_norm_backward)       \
  X(conv2d)                    \
  X(conv2d_backward_data)      \
  X(conv2d_backward_weight)    \
  X(depthwise)                 \
  X(depthwise_backward_data)   \
  X(depthwise_backward_weight) \
  X(elementwise)               \
  X(gradient_norm)             \
  X(image)                     \
  X(layout)                    \
  X(matmul)                    \
  X(optimiser)                 \
  X(pooling)                   \
  X(random)                    \
  X(reduction)                 \
  X(softmax)                   \
  X(squeeze_excite)

#define X(family) void enter_##family(KernelTable& table);
GRAFT_CUDA_FAMILIES(X)
#undef X

// Fills `out` for a device whose properties have been found good. device_error: last_error_text() says why.
Status make_backend(int32_t device, Backend* out);

}  // namespace graft::cuda
