// Elements moved, none computed. permute and copy_slice take any type, so they move bytes.
#include <cstring>

#include "kernels/reference/checks.h"
#include "kernels/reference/primitives.h"
#include "kernels/reference/views.h"

namespace graft::reference {

// y[i_0, …] = x[j_0, …] with j_order[a] = i_a: y's axis a is x's axis order[a]
Status permute(const PermuteArgs& a) {
  const Shape &from = a.x.shape, &to = a.y.shape;
  if (!a.x.present() || a.y.dtype != a.x.dtype || to.rank != from.rank) return Status::invalid_argument;
  bool taken[kMaxRank] = {};
  int64_t step[kMaxRank] = {};  // in x, for one step along y's axis
  for (int axis = 0; axis < to.rank; ++axis) {
    const int32_t source = a.order[axis];
    if (source < 0 || source >= from.rank || taken[source] || to[axis] != from[source]) return Status::invalid_argument;
    taken[source] = true;
    step[axis] = from.count(source + 1, from.rank);
  }

  const size_t size = size_of(a.x.dtype);
  for (int64_t i = 0; i < a.y.numel(); ++i) {
    int64_t rest = i, at = 0;
    for (int axis = to.rank - 1; axis >= 0; --axis) {
      at += rest % to[axis] * step[axis];
      rest /= to[axis];
    }
    std::memcpy(a.y.as<char>() + i * size, a.x.as<char>() + at * size, size);
  }
  return Status::ok;
}

// y[o, y_begin + i] = x[o, x_begin + i] for o < outer, i < count
Status copy_slice(const CopySliceArgs& a) {
  if (!a.x.present() || a.y.dtype != a.x.dtype || !has_elements(a.x, a.outer, a.x_row) ||
      !has_elements(a.y, a.outer, a.y_row) || a.count < 0 || a.x_begin < 0 || a.y_begin < 0 || a.count > a.x_row ||
      a.count > a.y_row || a.x_begin > a.x_row - a.count || a.y_begin > a.y_row - a.count)
    return Status::invalid_argument;
  if (a.count == 0) return Status::ok;
  const size_t size = size_of(a.x.dtype);
  for (int64_t o = 0; o < a.outer; ++o)
    std::memcpy(a.y.as<char>() + (o * a.y_row + a.y_begin) * size, a.x.as<char>() + (o * a.x_row + a.x_begin) * size,
                a.count * size);
  return Status::ok;
}

namespace {

// x [N,H,W,C]; y [N,⌈H/stride⌉,⌈W/stride⌉,K], before + C <= K
bool subsamples(const TensorView& x, const TensorView& y, int32_t stride, int32_t before) {
  if (!one_float_type(x, y) || x.shape.rank != 4 || y.shape.rank != 4 || stride < 1 || before < 0) return false;
  const auto kept = [&](int64_t extent) { return (extent + stride - 1) / stride; };
  return y.shape[0] == x.shape[0] && y.shape[1] == kept(x.shape[1]) && y.shape[2] == kept(x.shape[2]) &&
         before + x.shape[3] <= y.shape[3];
}

}  // namespace

// y[n,h,w,k] = x[n, h·stride, w·stride, k − before] where x has that channel, else 0
Status subsample_pad(const SubsamplePadArgs& a) {
  if (!subsamples(a.x, a.y, a.stride, a.before)) return Status::invalid_argument;
  return for_float_type(a.y.dtype, [&](auto type) {
    using T = decltype(type);
    const View4<const T> x(a.x);
    const View4<T> y(a.y);
    for (auto [n, h, w, k] : y.indices()) {
      const int64_t c = k - a.before;
      y(n, h, w, k) = 0 <= c && c < x.extent(3) ? x(n, h * a.stride, w * a.stride, c) : 0;
    }
  });
}

// dx[n,h,w,c] = dy[n, h / stride, w / stride, c + before] where stride divides h and w, else 0
Status subsample_pad_backward(const SubsamplePadBackwardArgs& a) {
  if (!subsamples(a.dx, a.dy, a.stride, a.before)) return Status::invalid_argument;
  return for_float_type(a.dx.dtype, [&](auto type) {
    using T = decltype(type);
    const View4<const T> dy(a.dy);
    const View4<T> dx(a.dx);
    for (auto [n, h, w, c] : dx.indices()) {
      const bool kept = h % a.stride == 0 && w % a.stride == 0;
      dx(n, h, w, c) = kept ? dy(n, h / a.stride, w / a.stride, c + a.before) : 0;
    }
  });
}

}  // namespace graft::reference
