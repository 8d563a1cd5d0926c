#include "kernels/reference/activation.h"
#include "kernels/reference/checks.h"
#include "kernels/reference/primitives.h"
#include "kernels/reference/views.h"

namespace graft::reference {

// y[m,n] = act(Σ_k op(a)[m,k] · op(b)[k,n] + bias[n]); no k: act(bias)
Status matmul(const MatmulArgs& args) {
  const Shape &a_shape = args.a.shape, &b_shape = args.b.shape;
  if (!one_float_type(args.a, args.b, args.y) || a_shape.rank != 2 || b_shape.rank != 2)
    return Status::invalid_argument;
  const int64_t rows = a_shape[args.transpose_a ? 1 : 0], inner = a_shape[args.transpose_a ? 0 : 1];
  const int64_t columns = b_shape[args.transpose_b ? 0 : 1];
  if (b_shape[args.transpose_b ? 1 : 0] != inner || args.y.shape != Shape{rows, columns} ||
      !absent_or(args.bias, args.y.dtype, {columns}) || !is_activation(args.activation))
    return Status::invalid_argument;

  return for_float_type(args.y.dtype, [&](auto type) {
    using T = decltype(type);
    const View2<const T> a(args.a), b(args.b);
    const View2<T> y(args.y);
    const T* bias = optional<const T>(args.bias);
    for (auto [m, n] : y.indices()) {
      double sum = 0;
      for (int64_t k = 0; k < inner; ++k)
        sum += double{args.transpose_a ? a(k, m) : a(m, k)} * (args.transpose_b ? b(n, k) : b(k, n));
      if (bias) sum += bias[n];
      y(m, n) = static_cast<T>(activated(args.activation, sum));
    }
  });
}

}  // namespace graft::reference
