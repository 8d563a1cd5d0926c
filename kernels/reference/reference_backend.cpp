#include "kernels/reference/reference_backend.h"

#include "kernels/reference/backend_parts.h"
#include "kernels/reference/checks.h"
#include "kernels/reference/primitives.h"

namespace graft::reference {

namespace {

template <typename Args, Status (*compute)(const Args&)>
Status run_primitive(CallContext* context, const void* args) {
  constexpr Primitive kPrimitive = primitive_of<Args>;
  constexpr const char* kKernels[] = {
#define X(name, Args) "reference." #name,
      GRAFT_PRIMITIVES(X)
#undef X
  };
  if (args == nullptr || !checked(kPrimitive, args)) return Status::invalid_argument;
  const Status status = compute(*static_cast<const Args*>(args));
  if (status == Status::ok && context != nullptr) context->kernel = kKernels[static_cast<int>(kPrimitive)];
  return status;
}

using RunFunction = Status (*)(CallContext*, const void* args);
constexpr RunFunction kRun[] = {
#define X(name, Args) run_primitive<Args, name>,
    GRAFT_PRIMITIVES(X)
#undef X
};

}  // namespace

Status run(Primitive primitive, CallContext* context, const void* args) {
  return kRun[static_cast<int>(primitive)](context, args);
}

}  // namespace graft::reference

extern "C" graft::Status graft_reference_backend(graft::Backend* out) {
  using namespace graft;
  if (out == nullptr) return Status::invalid_argument;
  if (out->bytes != sizeof(Backend) || out->version != kContractVersion) return Status::unsupported;
  *out = Backend{};
  out->name = "reference";
  out->destroy = [](void*) {};
  out->device = reference::device_functions();
  for (int i = 0; i < kPrimitiveCount; ++i) out->run[i] = reference::kRun[i];
  out->workspace_bytes = [](void*, Primitive, const void*) -> int64_t { return 0; };
  out->compile = reference::compile_functions();
  return Status::ok;
}
