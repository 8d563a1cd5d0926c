// Tensors one behind the other along an axis; each gets its slice of the gradient.
#include "core/ops.h"
#include "core/tape.h"

namespace graft::ops {

Tensor concat(const std::vector<Tensor>& parts, int axis) {
  GRAFT_CHECK(!parts.empty(), "concat: there is nothing to join");
  Shape shape = parts[0].shape();
  if (axis < 0) axis += shape.rank;
  GRAFT_CHECK(axis >= 0 && axis < shape.rank, "concat: {} has no axis {}", shape, axis);
  shape[axis] = 0;
  for (const Tensor& part : parts) {
    Shape rest = part.shape();
    if (rest.rank == shape.rank) rest[axis] = shape[axis];
    GRAFT_CHECK(rest == shape && part.dtype() == parts[0].dtype(), "concat: {} {} and {} {} can differ in axis {} only",
                parts[0].shape(), name_of(parts[0].dtype()), part.shape(), name_of(part.dtype()), axis);
    shape[axis] += part.size(axis);
  }

  // seen as [outer, row], where a row holds a row of each part
  const int64_t outer = shape.count(0, axis), row = shape.count(axis, shape.rank);
  const auto part_row = [axis](const Tensor& part) { return part.shape().count(axis, part.rank()); };
  Tensor y = empty(parts[0].shared_device(), shape, parts[0].dtype());
  int64_t begin = 0;
  for (const Tensor& part : parts) {
    const int64_t count = part_row(part);
    y.device().run(CopySliceArgs{
        .x = part, .y = y, .outer = outer, .count = count, .x_row = count, .y_row = row, .y_begin = begin});
    begin += count;
  }
  std::vector<int64_t> counts;
  counts.reserve(parts.size());
  for (const Tensor& part : parts) counts.push_back(part_row(part));
  return record("concat", y, parts, {}, [outer, row, counts](std::span<const Tensor>, const Tensor& dy, Gradients& d) {
    int64_t start = 0;
    for (size_t i = 0; i < counts.size(); start += counts[i], ++i)
      if (d.needed(i))
        dy.device().run(CopySliceArgs{.x = dy,
                                      .y = d.allocate(i),
                                      .outer = outer,
                                      .count = counts[i],
                                      .x_row = row,
                                      .y_row = counts[i],
                                      .x_begin = start});
  });
}

}  // namespace graft::ops
