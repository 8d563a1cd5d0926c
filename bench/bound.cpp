#include "bench/bound.h"

#include <algorithm>
#include <cmath>

#include "bench/host_call.h"
#include "core/error.h"

namespace graft::bench {
namespace {

void remove_activation(Primitive primitive, void* args) {
  const auto remove = [](auto& typed) {
    if constexpr (requires { typed.activation; }) typed.activation = Activation::none;
    if constexpr (requires { typed.gate_activation; }) typed.gate_activation = Activation::none;
    if constexpr (requires { typed.mask; }) typed.mask = {};
  };
  switch (primitive) {
#define X(name, Args)   \
  case Primitive::name: \
    return remove(*static_cast<Args*>(args));
    GRAFT_PRIMITIVES(X)
#undef X
  }
}

}  // namespace

Bound linear(double factor, const std::vector<int>& negative) {
  const auto sum_of_terms = [negative](const Backend& reference, Primitive primitive, const void* before, const void*,
                                       const void* magnitude) {
    HostCall absolute(primitive, before);
    remove_activation(primitive, absolute.args());
    const Roles roles = info_of(primitive).roles;
    for (int i = 0; i < roles.inputs + roles.inouts; ++i) {
      const TensorView& view = views_of(absolute.args())[i];
      if (view.dtype != DType::f64) continue;
      const double sign = std::count(negative.begin(), negative.end(), i) ? -1 : 1;
      for (int64_t e = 0; e < view.numel(); ++e) view.as<double>()[e] = sign * std::abs(view.as<double>()[e]);
    }
    if (absolute.run(reference) != Status::ok) throw InternalError("the reference refuses its own absolute values");
    for (int i = roles.inputs; i < roles.total(); ++i) {
      const TensorView &from = views_of(absolute.args())[i], &to = views_of(magnitude)[i];
      if (from.dtype == DType::f64) std::copy_n(from.as<double>(), from.numel(), to.as<double>());
    }
  };
  return {.factor = factor, .magnitude = sum_of_terms};
}

}  // namespace graft::bench
