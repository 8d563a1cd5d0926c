// What a primitive may assume of its arguments, as contract/primitives.h defines it. Nothing here reads an element.
#pragma once
#include "contract/backend.h"

namespace graft {

// The floating-point type a call computes in; none for a call that takes any type or has no such view.
DType computes_in(Primitive, const void* args);

// Types, shapes and attributes: ok, or invalid_argument for what the contract does not define.
Status check_args(Primitive, const void* args);

// For a backend whose kernels compute in f32: another type is well defined, but `unsupported` there.
Status check_f32_args(Primitive, const void* args);

// "y may alias x": the input at this position and the first output.
bool may_alias(Primitive, int32_t input);

// Memory behind every view, and no output that shares it with another view, but for the aliases the contract allows.
bool check_memory(Primitive, const void* args);

// An entry of Backend::run: `Run` behind all these checks, of which it needs none itself.
template <typename Args, Status (*Run)(CallContext&, const Args&)>
Status run_f32(CallContext* call, const void* args) {
  if (const Status status = check_f32_args(primitive_of<Args>, args); status != Status::ok) return status;
  if (!check_memory(primitive_of<Args>, args)) return Status::invalid_argument;
  return Run(*call, *static_cast<const Args*>(args));
}

}  // namespace graft
