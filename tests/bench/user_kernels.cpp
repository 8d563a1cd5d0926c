// Kernels as a user writes them: right, wrong in one way each, undeclared, of another version.
#include <algorithm>

#include "graft/kernel.h"

using graft::ActivateArgs, graft::CallContext, graft::Status;

static Status relu(const ActivateArgs* a, int64_t count) {
  if (a->activation != graft::Activation::relu) return Status::unsupported;
  for (int64_t i = 0; i < count; ++i) a->y.as<float>()[i] = std::max(a->x.as<float>()[i], 0.f);
  return Status::ok;
}

extern "C" Status right_relu(CallContext* call, const ActivateArgs* a) {
  call->kernel = "user.relu";
  return relu(a, a->x.numel());
}
GRAFT_KERNEL(right_relu)

extern "C" Status no_tail(CallContext*, const ActivateArgs* a) { return relu(a, a->x.numel() / 8 * 8); }
GRAFT_KERNEL(no_tail)

// Right for small images alone.
extern "C" Status small_only(CallContext*, const ActivateArgs* a) {
  return relu(a, std::min<int64_t>(a->x.numel(), 2 * 17 * 17 * 70));
}
GRAFT_KERNEL(small_only)

// Two hundred roundings from right.
extern "C" Status coarse(CallContext*, const ActivateArgs* a) {
  const Status status = relu(a, a->x.numel());
  for (int64_t i = 0; i < a->y.numel(); ++i) a->y.as<float>()[i] *= 1 + 200 * 0x1p-24f;
  return status;
}
GRAFT_KERNEL(coarse)

extern "C" Status undeclared(CallContext*, const ActivateArgs*) { return Status::ok; }

extern "C" Status of_another_version(CallContext*, const ActivateArgs*) { return Status::ok; }
extern "C" {
extern const graft::KernelInfo of_another_version_info;
const graft::KernelInfo of_another_version_info = {.primitive_count = graft::kPrimitiveCount - 1,
                                                   .primitive = graft::Primitive::activate,
                                                   .args_bytes = sizeof(ActivateArgs)};
}
