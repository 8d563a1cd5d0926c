// What every kernel of this backend may assume of its arguments. Nothing here reads an element.
#pragma once
#include "contract/primitives.h"
#include "contract/status.h"

namespace graft::cpu {

// Types, shapes and attributes: `unsupported` for f64, `invalid_argument` for what the contract does not define.
#define X(name, Args) Status check_shapes(const Args&);
GRAFT_PRIMITIVES(X)
#undef X

// The same by number, for calls that were written down.
Status check_shapes(Primitive, const void* args);

// Memory behind every view, and no output that shares it with another view, but for the aliases the contract allows.
bool check_memory(Primitive, const void* args);

template <typename Args>
Status check(const Args& a) {
  const Status status = check_shapes(a);
  if (status != Status::ok) return status;
  return check_memory(primitive_of<Args>, &a) ? Status::ok : Status::invalid_argument;
}

}  // namespace graft::cpu
