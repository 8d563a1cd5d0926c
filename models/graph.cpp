#include "models/graph.h"

#include <set>

#include "core/error.h"
#include "models/near_names.h"

namespace graft::models {

const char* name_of(Axes axes) {
  switch (axes) {
    case Axes::channels:
      return "C";
    case Axes::oihw:
    case Axes::depthwise:
      return "OIHW";
    case Axes::out_in:
      return "OI";
  }
  return "?";
}

Shape Parameter::memory_shape() const {
  switch (axes) {
    case Axes::oihw:
      return {shape[0], shape[2], shape[3], shape[1]};
    case Axes::depthwise:
      return {shape[2], shape[3], shape[0]};
    case Axes::channels:
    case Axes::out_in:
      break;
  }
  return shape;
}

std::vector<Parameter> parameters_of(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  std::vector<Parameter> list;
  const auto add = [&](const char* suffix, Shape shape, Axes axes, Initializer init, bool is_buffer = false) {
    list.push_back({node.name + suffix, id, shape, axes, is_buffer, init});
  };
  if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
    add(".weight", {conv->out_channels, conv->in_channels / conv->groups, conv->window.h, conv->window.w},
        conv->depthwise() ? Axes::depthwise : Axes::oihw, conv->weight_init);
    if (conv->bias) add(".bias", {conv->out_channels}, Axes::channels, conv->bias_init);
  } else if (const auto* linear = std::get_if<Linear>(&node.op)) {
    add(".weight", {linear->out_features, linear->in_features}, Axes::out_in, linear->weight_init);
    if (linear->bias) add(".bias", {linear->out_features}, Axes::channels, linear->bias_init);
  } else if (const auto* bn = std::get_if<BatchNorm>(&node.op)) {
    const Initializer zeros{Initializer::Kind::zeros, 0}, ones{Initializer::Kind::ones, 0};
    add(".weight", {bn->channels}, Axes::channels, ones);
    add(".bias", {bn->channels}, Axes::channels, zeros);
    add(".running_mean", {bn->channels}, Axes::channels, zeros, true);
    add(".running_var", {bn->channels}, Axes::channels, ones, true);
  }
  return list;
}

std::vector<Parameter> parameters_of(const Graph& graph) {
  std::vector<Parameter> all;
  for (NodeId id = 0; id < graph.size(); ++id)
    for (Parameter& p : parameters_of(graph, id)) all.push_back(std::move(p));
  return all;
}

NodeId find_node(const Graph& graph, std::string_view name) {
  const std::string module = std::string(name) + ".";
  NodeId last = -1;
  std::set<std::string> names;  // of nodes and of the modules they are in
  for (NodeId id = 0; id < graph.size(); ++id) {
    const std::string& path = graph.node(id).name;
    if (path == name) return id;
    if (path.starts_with(module)) last = id;
    names.insert(path);
    for (size_t dot = path.find('.'); dot != path.npos; dot = path.find('.', dot + 1))
      names.insert(path.substr(0, dot));
  }
  if (last >= 0) return last;
  const std::vector<std::string> list(names.begin(), names.end());
  fail("{} has no layer {}{}\n  `graft inspect MODEL.h5` lists its layers", graph.name, name, did_you_mean(name, list));
}

std::vector<std::vector<NodeId>> consumers_of(const Graph& graph) {
  std::vector<std::vector<NodeId>> consumers(graph.nodes.size());
  for (NodeId id = 0; id < graph.size(); ++id)
    for (NodeId input : graph.node(id).inputs) consumers[static_cast<size_t>(input)].push_back(id);
  return consumers;
}

int64_t classes_of(const Graph& graph) {
  if (graph.head.empty()) return 0;
  return std::get<Linear>(graph.node(find_node(graph, graph.head)).op).out_features;
}

Graph with_classes(Graph graph, int64_t classes) {
  GRAFT_CHECK(!graph.head.empty(), "{} has no head whose classes could change", graph.name);
  GRAFT_CHECK(classes >= 1 && classes <= kMaxElements, "{}: {} classes; give at least 1", graph.name, classes);
  Node& head = graph.nodes[static_cast<size_t>(find_node(graph, graph.head))];
  std::get<Linear>(head.op).out_features = classes;
  validate(graph);
  return graph;
}

}  // namespace graft::models
