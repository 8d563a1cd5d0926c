#include "models/recognise.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/error.h"
#include "models/near_names.h"
#include "models/registry.h"

namespace graft::models {

namespace {

using Extents = std::vector<int64_t>;
using TensorMap = std::map<std::string, Extents, std::less<>>;

bool is_counter(std::string_view name) { return name.ends_with("num_batches_tracked"); }

TensorMap map_of(std::span<const NamedShape> tensors) {
  TensorMap map;
  for (const NamedShape& t : tensors)
    if (!is_counter(t.name)) map.emplace(t.name, t.shape);
  return map;
}

Extents extents_of(const Shape& shape) { return {shape.extents, shape.extents + shape.rank}; }

// A name or shape out of a file, fit for a terminal.
std::string shown(std::string_view name) {
  std::string text;
  for (char c : name.substr(0, 80)) text += c >= ' ' && c <= '~' ? c : '?';
  return name.size() > 80 ? text + "..." : text;
}
std::string shown(const Extents& shape) {
  const auto end = shape.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(shape.size(), 8));
  return fmt::format("[{}{}]", fmt::join(shape.begin(), end, ", "), end == shape.end() ? "" : ", ...");
}

struct Differences {
  std::vector<std::string> misshapen, missing, unexpected;  // names of tensors
  size_t count() const { return misshapen.size() + missing.size() + unexpected.size(); }
};

Differences compare(const std::vector<Parameter>& parameters, const TensorMap& tensors,
                    std::span<const NamedShape> in_file_order) {
  Differences d;
  std::set<std::string_view> known;
  for (const Parameter& p : parameters) {
    known.insert(p.name);
    const auto found = tensors.find(p.name);
    if (found == tensors.end())
      d.missing.push_back(p.name);
    else if (found->second != extents_of(p.shape))
      d.misshapen.push_back(p.name);
  }
  for (const NamedShape& t : in_file_order)
    if (!is_counter(t.name) && !known.contains(t.name)) d.unexpected.push_back(t.name);
  return d;
}

// As many classes as the file's head has rows; the published number where the file has no such head.
Graph make_with_classes_of(const Model& model, const TensorMap& tensors) {
  constexpr int64_t kMaxClasses = 1 << 24;
  Graph graph = model.make(model.classes);
  const auto head = tensors.find(graph.head + ".weight");
  if (head == tensors.end() || head->second.size() != 2) return graph;
  const int64_t classes = head->second[0];
  return classes == model.classes || classes < 1 || classes > kMaxClasses ? graph : model.make(classes);
}

struct Nearest {
  Graph graph;
  size_t fitting = 0, differences = 0;
};
Nearest nearest_model(const TensorMap& tensors, std::span<const NamedShape> in_file_order) {
  std::optional<Nearest> best;
  for (const Model& model : all_models()) {
    Graph graph = make_with_classes_of(model, tensors);
    const auto parameters = parameters_of(graph);
    const Differences d = compare(parameters, tensors, in_file_order);
    const size_t fitting = parameters.size() - d.missing.size() - d.misshapen.size();
    if (!best || d.count() < best->differences) best = Nearest{std::move(graph), fitting, d.count()};
  }
  return std::move(*best);
}

// Up to three lines: the first tensor of each kind, and how many more there are.
std::string table_of(const Differences& d, const Graph& graph, const TensorMap& tensors) {
  struct Row {
    std::string text;
    size_t more;
  };
  std::vector<Row> rows;
  if (!d.misshapen.empty()) {
    const std::string& name = d.misshapen[0];
    for (const Parameter& p : parameters_of(graph))
      if (p.name == name)
        rows.push_back({fmt::format("{} is {} in the file, {} needs {}", name, shown(tensors.find(name)->second),
                                    graph.name, p.shape),
                        d.misshapen.size() - 1});
  }
  if (!d.missing.empty())
    rows.push_back({fmt::format("{} is not in the file, {} needs it", d.missing[0], graph.name), d.missing.size() - 1});
  if (!d.unexpected.empty())
    rows.push_back({fmt::format("{} is in the file, {} has no such parameter", shown(d.unexpected[0]), graph.name),
                    d.unexpected.size() - 1});
  size_t width = 0;
  for (const Row& row : rows)
    if (row.more) width = std::max(width, row.text.size());
  std::string table;
  for (const Row& row : rows)
    table += row.more ? fmt::format("\n  {:<{}}   (and {} more)", row.text, width, row.more) : "\n  " + row.text;
  return table;
}

}  // namespace

std::optional<Fit> recognise(std::span<const NamedShape> tensors) {
  const Nearest nearest = nearest_model(map_of(tensors), tensors);
  if (nearest.differences != 0) return std::nullopt;
  return Fit{nearest.graph.name, classes_of(nearest.graph)};
}

void check_fits(const Graph& graph, std::span<const NamedShape> tensors, std::string_view file) {
  const TensorMap map = map_of(tensors);
  const Differences d = compare(parameters_of(graph), map, tensors);
  if (d.count() == 0) return;
  std::string advice;
  if (const auto fit = recognise(tensors); fit && fit->model != graph.name)
    advice = fmt::format("\n  the tensors fit {}: use --arch {}, or leave --arch out to have it recognised", fit->model,
                         fit->model);
  fail("cannot use {} as {}{}{}", file, graph.name, table_of(d, graph, map), advice);
}

Graph graph_for(std::span<const NamedShape> tensors, std::string_view file, std::string_view arch) {
  const TensorMap map = map_of(tensors);
  if (!arch.empty()) {
    Graph graph = make_with_classes_of(find_model(arch), map);
    check_fits(graph, tensors, file);
    return graph;
  }
  Nearest nearest = nearest_model(map, tensors);
  if (nearest.differences == 0) return std::move(nearest.graph);
  GRAFT_CHECK(nearest.fitting != 0,
              "cannot tell which network {} holds: none of its {} tensors belongs to one\n"
              "  `graft models` lists the networks graft knows",
              file, map.size());
  const Differences d = compare(parameters_of(nearest.graph), map, tensors);
  fail("cannot tell which network {} holds; the nearest is {}{}\n  `graft models` lists the networks graft knows", file,
       nearest.graph.name, table_of(d, nearest.graph, map));
}

}  // namespace graft::models
