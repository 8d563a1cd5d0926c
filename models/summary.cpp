#include "models/summary.h"

#include "core/error.h"
#include "models/shapes.h"

namespace graft::models {

namespace {

// Window positions and outputs are bounded each by kMaxElements, their product is not.
int64_t multiply_adds_of(const Node& node, const Shape& output) {
  int64_t each = 0, total = 0;
  if (const auto* conv = std::get_if<Conv2d>(&node.op))
    each = conv->in_channels / conv->groups * conv->window.h * conv->window.w;
  else if (const auto* linear = std::get_if<Linear>(&node.op))
    each = linear->in_features;
  GRAFT_CHECK(!__builtin_mul_overflow(each, output.numel(), &total), "{}: the number of multiply-adds overflows",
              node.name);
  return total;
}

}  // namespace

Summary summarize(const Graph& graph, int64_t batch, int64_t height, int64_t width) {
  const auto shapes = infer_shapes(graph, batch, height, width);
  Summary summary{graph.name, shapes[0], {}, 0, 0};
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const Shape& output = shapes[static_cast<size_t>(id)];
    SummaryRow row{node.name, kind_of(node.op), output, 0, multiply_adds_of(node, output)};
    for (const Parameter& p : parameters_of(graph, id))
      if (!p.is_buffer) row.parameters += p.shape.numel();
    const bool overflow = __builtin_add_overflow(summary.parameters, row.parameters, &summary.parameters) ||
                          __builtin_add_overflow(summary.multiply_adds, row.multiply_adds, &summary.multiply_adds);
    GRAFT_CHECK(!overflow, "{}: the number of multiply-adds overflows at {}", graph.name, node.name);
    summary.rows.push_back(std::move(row));
  }
  return summary;
}

}  // namespace graft::models
