// What a primitive may assume of its arguments, as contract/primitives.h defines it. Nothing here reads an element.
#pragma once
#include "contract/primitives.h"
#include "contract/status.h"

namespace graft {

constexpr bool is_float(DType t) { return t == DType::f64 || t == DType::f32 || t == DType::bf16 || t == DType::f16; }

// The type of per-channel vectors, statistics and losses beside elements of type t: 16 bits are too few to sum in.
constexpr DType vector_type(DType t) { return t == DType::f64 ? DType::f64 : DType::f32; }

// Types, shapes and attributes: ok, or invalid_argument for what the contract does not define.
#define X(name, Args) Status check_args(const Args&);
GRAFT_PRIMITIVES(X)
#undef X

// The same by number, for calls that were written down.
Status check_args(Primitive, const void* args);

// The floating-point type a call computes in; none for a call that takes any type (fill, cast, permute, copy_slice) or
// has no such view (finish_step).
DType computes_in(Primitive, const void* args);

// Memory behind every view, and no output that shares it with another view, but for the aliases the contract allows.
bool check_memory(Primitive, const void* args);

}  // namespace graft
