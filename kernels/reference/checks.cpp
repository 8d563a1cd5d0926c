#include "kernels/reference/checks.h"

namespace graft::reference {

namespace {

// "y may alias x": the input at this position and the first output.
bool may_alias(Primitive primitive, int32_t input) {
  switch (primitive) {
    case Primitive::activate:
    case Primitive::scale:
    case Primitive::multiply:
      return input == 0;  // x
    case Primitive::activate_backward:
      return input == 1;  // dy
    case Primitive::add:
      return input <= 1;  // a or b
    default:
      return false;
  }
}

bool same_memory(const TensorView& a, const TensorView& b) { return a.data == b.data && a.bytes() == b.bytes(); }

bool overlap(const TensorView& a, const TensorView& b) {
  const auto begin_a = reinterpret_cast<uintptr_t>(a.data), begin_b = reinterpret_cast<uintptr_t>(b.data);
  return a.bytes() > 0 && b.bytes() > 0 && begin_a < begin_b + static_cast<uintptr_t>(b.bytes()) &&
         begin_b < begin_a + static_cast<uintptr_t>(a.bytes());
}

}  // namespace

bool checked(Primitive primitive, const void* args) {
  const TensorView* views = views_of(args);
  const Roles roles = info_of(primitive).roles;
  for (int32_t i = 0; i < roles.total(); ++i)
    if (!well_formed(views[i]) || (views[i].bytes() > 0 && views[i].data == nullptr)) return false;

  for (int32_t out = roles.inputs; out < roles.total(); ++out)
    for (int32_t other = 0; other < out; ++other) {
      if (!overlap(views[out], views[other])) continue;
      const bool allowed = out == roles.inputs && may_alias(primitive, other) && same_memory(views[out], views[other]);
      if (!allowed) return false;
    }
  return true;
}

}  // namespace graft::reference
