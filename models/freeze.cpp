#include "models/freeze.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "models/near_names.h"

namespace graft::models {

namespace {

// The part of a name before its last dot; "" at the top.
std::string_view module_of(std::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : name.substr(0, dot);
}

// The name itself, or any module around it.
bool matches_path(std::string_view pattern, std::string_view name) {
  for (; !name.empty(); name = module_of(name))
    if (matches(pattern, name)) return true;
  return false;
}

// "[a-z]" at the front of `pattern`: whether it takes c, and its length; length 0 when it is no set.
struct Set {
  bool takes = false;
  size_t length = 0;
};
Set match_set(std::string_view pattern, char c) {
  Set set;
  for (size_t i = 1; i < pattern.size(); ++i) {
    if (pattern[i] == ']' && i > 1) {
      set.length = i + 1;
      return set;
    }
    const bool is_range = i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']';
    const char last = is_range ? pattern[i + 2] : pattern[i];
    set.takes = set.takes || (pattern[i] <= c && c <= last);
    if (is_range) i += 2;
  }
  return {};
}

std::vector<bool> matched(const Graph& graph, const std::vector<Parameter>& parameters,
                          const std::vector<std::string>& patterns) {
  std::vector<bool> result(parameters.size());
  for (const std::string& pattern : patterns) {
    bool any = false;
    for (size_t i = 0; i < parameters.size(); ++i)
      if (!parameters[i].is_buffer && matches_path(pattern, parameters[i].name)) result[i] = any = true;
    if (any) continue;
    std::set<std::string> names;
    for (const Parameter& p : parameters)
      for (std::string_view path = module_of(p.name); !path.empty(); path = module_of(path)) names.emplace(path);
    const std::vector<std::string> list(names.begin(), names.end());
    fail("no layer of {} matches the pattern {}{}\n  `graft inspect MODEL.h5` lists its layers", graph.name, pattern,
         did_you_mean(pattern, list));
  }
  return result;
}

class Line {
 public:
  Line(const Graph& graph, FreezePlan& plan) : graph_(graph), plan_(plan), consumers_(consumers_of(graph)) {
    trains_.resize(graph.nodes.size());
    has_parameters_.resize(graph.nodes.size());
    const auto parameters = parameters_of(graph);
    for (size_t i = 0; i < parameters.size(); ++i) {
      const auto node = static_cast<size_t>(parameters[i].node);
      has_parameters_[node] = true;
      if (plan.trainable[i]) trains_[node] = true;
    }
  }

  void draw() {
    const auto count = graph_.nodes.size();
    plan_.frozen.resize(count);
    plan_.below.resize(count);
    for (size_t i = 0; i < count; ++i) {
      const Node& node = graph_.nodes[i];
      const bool active = is_stochastic(node.op) ? trains_nearby(static_cast<NodeId>(i)) : trains_[i];
      bool inputs_below = true;
      for (NodeId input : node.inputs) inputs_below = inputs_below && plan_.below[static_cast<size_t>(input)];
      plan_.below[i] = inputs_below && !active;
      plan_.frozen[i] = has_parameters_[i] || is_stochastic(node.op) ? !active : plan_.below[i];
    }
    for (size_t i = 0; i < count; ++i)
      if (plan_.below[i] && crosses(static_cast<NodeId>(i))) plan_.taps.push_back(static_cast<NodeId>(i));
  }

 private:
  bool crosses(NodeId id) const {
    for (NodeId reader : consumers_[static_cast<size_t>(id)])
      if (!plan_.below[static_cast<size_t>(reader)]) return true;
    return std::any_of(graph_.outputs.begin(), graph_.outputs.end(), [&](const Output& o) { return o.node == id; });
  }

  // A dropout sits with the layers of its module where those are of one mind, else with its nearest consumers.
  bool trains_nearby(NodeId id) const {
    const std::string module = std::string(module_of(graph_.node(id).name)).append(".");
    size_t training = 0, frozen = 0;
    if (module != ".")
      for (size_t i = 0; i < graph_.nodes.size(); ++i)
        if (has_parameters_[i] && graph_.nodes[i].name.starts_with(module)) ++(trains_[i] ? training : frozen);
    if ((training == 0) != (frozen == 0)) return training != 0;
    return consumer_trains(id);
  }

  // The first layers with parameters downstream. Where none is, it goes with the network as a whole.
  bool consumer_trains(NodeId id) const {
    std::vector<bool> seen(graph_.nodes.size());
    std::vector<NodeId> open = {id};
    bool found = false;
    while (!open.empty()) {
      const NodeId at = open.back();
      open.pop_back();
      for (NodeId reader : consumers_[static_cast<size_t>(at)]) {
        const auto r = static_cast<size_t>(reader);
        if (seen[r]) continue;
        seen[r] = true;
        if (trains_[r]) return true;
        if (has_parameters_[r])
          found = true;
        else
          open.push_back(reader);
      }
    }
    return !found && std::find(trains_.begin(), trains_.end(), true) != trains_.end();
  }

  const Graph& graph_;
  FreezePlan& plan_;
  std::vector<std::vector<NodeId>> consumers_;
  std::vector<bool> trains_, has_parameters_;  // by node
};

}  // namespace

// Backtracks to the last star only, so that no pattern takes long.
bool matches(std::string_view pattern, std::string_view name) {
  size_t p = 0, n = 0, star = std::string_view::npos, star_n = 0;
  while (n < name.size()) {
    const Set set = p < pattern.size() && pattern[p] == '[' ? match_set(pattern.substr(p), name[n]) : Set{};
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_n = n;
    } else if (set.length ? set.takes : p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      p += set.length ? set.length : 1;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++star_n;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::vector<bool> FreezePlan::above() const {
  std::vector<bool> result = below;
  result.flip();
  return result;
}

FreezePlan plan_freeze(const Graph& graph, const FreezePatterns& patterns) {
  GRAFT_CHECK(patterns.freeze.empty() || patterns.train.empty(),
              "{}: give patterns of what to freeze or of what to train, not both", graph.name);
  const auto parameters = parameters_of(graph);
  const bool by_train = !patterns.train.empty();
  const auto chosen = matched(graph, parameters, by_train ? patterns.train : patterns.freeze);
  FreezePlan plan;
  for (size_t i = 0; i < parameters.size(); ++i)
    plan.trainable.push_back(!parameters[i].is_buffer && chosen[i] == by_train);
  Line(graph, plan).draw();
  return plan;
}

}  // namespace graft::models
