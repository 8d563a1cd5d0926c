#include <cmath>
#include <limits>

#include "kernels/reference/checks.h"
#include "kernels/reference/primitives.h"
#include "kernels/reference/views.h"

namespace graft::reference {

// y[o,i] = Σ_r x[o,r,i], that divided by count, or max_r x[o,r,i] (NaN wins)
Status reduce(const ReduceArgs& a) {
  if (!one_float_type(a.x, a.y) || !has_elements(a.x, a.outer, a.count, a.inner) ||
      !has_elements(a.y, a.outer, a.inner) || a.reduction < Reduction::sum || a.reduction > Reduction::max)
    return Status::invalid_argument;

  return for_float_type(a.y.dtype, [&](auto type) {
    using T = decltype(type);
    const View3<const T> x(a.x.as<T>(), {a.outer, a.count, a.inner});
    const View2<T> y(a.y.as<T>(), {a.outer, a.inner});
    for (auto [o, i] : y.indices()) {
      double sum = 0, largest = -std::numeric_limits<double>::infinity();
      for (int64_t r = 0; r < a.count; ++r) {
        sum += x(o, r, i);
        if (x(o, r, i) > largest || std::isnan(x(o, r, i))) largest = x(o, r, i);  // nothing is larger than NaN
      }
      if (a.reduction != Reduction::sum && a.count == 0) sum = largest = std::numeric_limits<double>::quiet_NaN();
      if (a.reduction == Reduction::mean) sum /= static_cast<double>(a.count);
      y(o, i) = static_cast<T>(a.reduction == Reduction::max ? largest : sum);
    }
  });
}

// y[o,r,i] = x[o,i] · factor
Status broadcast(const BroadcastArgs& a) {
  if (!one_float_type(a.x, a.y) || !has_elements(a.y, a.outer, a.count, a.inner) ||
      !has_elements(a.x, a.outer, a.inner))
    return Status::invalid_argument;

  return for_float_type(a.y.dtype, [&](auto type) {
    using T = decltype(type);
    const View2<const T> x(a.x.as<T>(), {a.outer, a.inner});
    const View3<T> y(a.y.as<T>(), {a.outer, a.count, a.inner});
    for (auto [o, r, i] : y.indices()) y(o, r, i) = static_cast<T>(x(o, i) * a.factor);
  });
}

}  // namespace graft::reference
