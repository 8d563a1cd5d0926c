#include "models/summary.h"

#include <algorithm>

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

// 25557032 → "25,557,032"
std::string with_commas(int64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3) text.insert(static_cast<size_t>(at), 1, ',');
  return text;
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

std::string to_table(const Summary& summary) {
  size_t name_width = 5, shape_width = 12;
  for (const SummaryRow& row : summary.rows) {
    name_width = std::max(name_width, row.name.size());
    shape_width = std::max(shape_width, fmt::format("{}", row.output).size());
  }
  std::string text = fmt::format("{:<{}}  {:<17}  {:<{}}  {:>13}  {:>18}\n", "layer", name_width, "kind", "output",
                                 shape_width, "parameters", "multiply-adds");
  const std::string rule(name_width + shape_width + 56, '-');
  text += rule + "\n";
  const auto count = [](int64_t n) { return n == 0 ? std::string("-") : with_commas(n); };
  for (const SummaryRow& row : summary.rows)
    text += fmt::format("{:<{}}  {:<17}  {:<{}}  {:>13}  {:>18}\n", row.name, name_width, row.kind,
                        fmt::format("{}", row.output), shape_width, count(row.parameters), count(row.multiply_adds));
  text += rule + "\n";
  text += fmt::format("{}: {} parameters, {} multiply-adds on an input of {}\n", summary.name,
                      with_commas(summary.parameters), with_commas(summary.multiply_adds), summary.input);
  return text;
}

}  // namespace graft::models
