#include "io/torch/strided.h"

#include <vector>

namespace graft::io::torch {

namespace {

bool is_dense(const TensorRef& view) {
  int64_t expected = 1;
  for (size_t axis = view.shape.size(); axis-- > 0;) {
    if (view.shape[axis] != 1 && view.strides[axis] != expected) return false;
    expected *= view.shape[axis];
  }
  return true;
}

// The coordinates of element `index` in row-major order.
std::vector<int64_t> coordinates(const TensorRef& view, int64_t index) {
  std::vector<int64_t> at(view.shape.size());
  for (size_t axis = at.size(); axis-- > 0; index /= view.shape[axis]) at[axis] = index % view.shape[axis];
  return at;
}

struct Range {
  int64_t low = 0, high = 0;  // both inclusive
};

// In the storage, around elements first..last of the view. The axes on which both agree are fixed, the next runs from
// one to the other, and those behind it may take every value.
Range range_around(const TensorRef& view, int64_t first, int64_t last) {
  const std::vector<int64_t> a = coordinates(view, first), b = coordinates(view, last);
  Range range{view.offset, view.offset};
  bool fixed = true;
  for (size_t axis = 0; axis < a.size(); ++axis) {
    range.low += (fixed ? a[axis] : 0) * view.strides[axis];
    range.high += (fixed ? b[axis] : view.shape[axis] - 1) * view.strides[axis];
    fixed = fixed && a[axis] == b[axis];
  }
  return range;
}

void gather(const TensorRef& view, int64_t first, int64_t count, const FetchRange& fetch, float* out) {
  if (count == 0) return;
  const Range range = range_around(view, first, first + count - 1);
  const int64_t span = range.high - range.low + 1;
  if (count > 1 && span / kMaxSpread > count) {
    gather(view, first, count / 2, fetch, out);
    gather(view, first + count / 2, count - count / 2, fetch, out + count / 2);
    return;
  }
  std::vector<float> block(static_cast<size_t>(span));
  fetch(range.low, span, block.data());

  std::vector<int64_t> at = coordinates(view, first);
  int64_t place = view.offset - range.low;
  for (size_t axis = 0; axis < at.size(); ++axis) place += at[axis] * view.strides[axis];
  for (int64_t i = 0; i < count; ++i) {
    out[i] = block[static_cast<size_t>(place)];
    for (size_t axis = at.size(); axis-- > 0;) {  // to the next element, as an odometer
      place += view.strides[axis];
      if (++at[axis] < view.shape[axis]) break;
      place -= view.shape[axis] * view.strides[axis];
      at[axis] = 0;
    }
  }
}

}  // namespace

void read_strided(const TensorRef& view, int64_t first, int64_t count, const FetchRange& fetch, float* out) {
  if (count == 0) return;
  if (is_dense(view)) return fetch(view.offset + first, count, out);
  gather(view, first, count, fetch, out);
}

}  // namespace graft::io::torch
