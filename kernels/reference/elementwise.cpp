// One element at a time: activations, sums, products. Outputs may be the memory of an input.
#include "kernels/reference/activation.h"
#include "kernels/reference/checks.h"
#include "kernels/reference/primitives.h"
#include "kernels/reference/views.h"

namespace graft::reference {

// y = act(x)
Status activate(const ActivateArgs& a) {
  if (!one_float_type(a.x, a.y) || a.y.shape != a.x.shape || !is_activation(a.activation))
    return Status::invalid_argument;
  return for_float_type(a.y.dtype, [&](auto type) {
    using T = decltype(type);
    for (int64_t i = 0; i < a.y.numel(); ++i) a.y.as<T>()[i] = static_cast<T>(activated(a.activation, a.x.as<T>()[i]));
  });
}

// dx = dy · act′, act′ from y (relu, relu6, sigmoid) or x (silu)
Status activate_backward(const ActivateBackwardArgs& a) {
  if (!one_float_type(a.saved, a.dy, a.dx) || a.dy.shape != a.saved.shape || a.dx.shape != a.saved.shape ||
      !is_activation(a.activation))
    return Status::invalid_argument;
  return for_float_type(a.dx.dtype, [&](auto type) {
    using T = decltype(type);
    for (int64_t i = 0; i < a.dx.numel(); ++i)
      a.dx.as<T>()[i] = static_cast<T>(activation_gradient(a.activation, a.saved.as<T>()[i], a.dy.as<T>()[i]));
  });
}

// y = act(a + b)
Status add(const AddArgs& a) {
  if (!one_float_type(a.a, a.b, a.y) || a.b.shape != a.a.shape || a.y.shape != a.a.shape ||
      !is_activation(a.activation))
    return Status::invalid_argument;
  return for_float_type(a.y.dtype, [&](auto type) {
    using T = decltype(type);
    for (int64_t i = 0; i < a.y.numel(); ++i)
      a.y.as<T>()[i] = static_cast<T>(activated(a.activation, double{a.a.as<T>()[i]} + a.b.as<T>()[i]));
  });
}

// y = x · factor
Status scale(const ScaleArgs& a) {
  if (!one_float_type(a.x, a.y) || a.y.shape != a.x.shape) return Status::invalid_argument;
  return for_float_type(a.y.dtype, [&](auto type) {
    using T = decltype(type);
    for (int64_t i = 0; i < a.y.numel(); ++i) a.y.as<T>()[i] = static_cast<T>(a.x.as<T>()[i] * a.factor);
  });
}

// y[o,r,i] = x[o,r,i] · s[o,i]
Status multiply(const MultiplyArgs& a) {
  if (!one_float_type(a.x, a.s, a.y) || !has_elements(a.x, a.outer, a.repeat, a.inner) ||
      !has_elements(a.y, a.outer, a.repeat, a.inner) || !has_elements(a.s, a.outer, a.inner))
    return Status::invalid_argument;
  return for_float_type(a.y.dtype, [&](auto type) {
    using T = decltype(type);
    const View3<const T> x(a.x.as<T>(), {a.outer, a.repeat, a.inner});
    const View2<const T> s(a.s.as<T>(), {a.outer, a.inner});
    const View3<T> y(a.y.as<T>(), {a.outer, a.repeat, a.inner});
    for (auto [o, r, i] : y.indices()) y(o, r, i) = x(o, r, i) * s(o, i);
  });
}

// ds[o,i] = Σ_r x[o,r,i] · dy[o,r,i]
Status multiply_reduce(const MultiplyReduceArgs& a) {
  if (!one_float_type(a.x, a.dy, a.ds) || !has_elements(a.x, a.outer, a.repeat, a.inner) ||
      !has_elements(a.dy, a.outer, a.repeat, a.inner) || !has_elements(a.ds, a.outer, a.inner))
    return Status::invalid_argument;
  return for_float_type(a.ds.dtype, [&](auto type) {
    using T = decltype(type);
    const View3<const T> x(a.x.as<T>(), {a.outer, a.repeat, a.inner}), dy(a.dy.as<T>(), {a.outer, a.repeat, a.inner});
    const View2<T> ds(a.ds.as<T>(), {a.outer, a.inner});
    for (auto [o, i] : ds.indices()) {
      double sum = 0;
      for (int64_t r = 0; r < a.repeat; ++r) sum += double{x(o, r, i)} * dy(o, r, i);
      ds(o, i) = static_cast<T>(sum);
    }
  });
}

}  // namespace graft::reference
