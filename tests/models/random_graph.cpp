#include "tests/models/random_graph.h"

#include <algorithm>
#include <optional>

#include "contract/philox.h"
#include "core/error.h"
#include "models/builder.h"

namespace graft::test {

using namespace graft::models;

namespace {

class Maker {
 public:
  explicit Maker(uint64_t seed) : seed_(seed), g_("random") {}

  Graph make() {
    values_ = {g_.input(1 + pick(13), 1 + pick(13), 1 + pick(6))};
    const int64_t steps = 3 + pick(14);
    for (int64_t i = 0; i < steps; ++i) {
      try {
        values_.push_back(step());
      } catch (const Error&) {  // a window that does not fit, channels that do not match: something else then
      }
    }
    g_.output(values_.back(), "last");
    for (int64_t i = pick(3); i > 0; --i) g_.output(any(), fmt::format("tap{}", i));
    return g_.finish();
  }

 private:
  int64_t pick(int64_t below) { return philox(seed_, counter_++, 0).word[0] % static_cast<uint64_t>(below); }
  bool chance(int64_t percent) { return pick(100) < percent; }
  std::string name(const char* kind) { return fmt::format("{}{}", kind, names_++); }

  // Mostly the newest value, sometimes an old one: which is then read twice.
  NodeId any() { return chance(65) ? values_.back() : values_[static_cast<size_t>(pick(std::ssize(values_)))]; }
  NodeId image() {
    NodeId x = any();
    for (int tries = 0; g_.shape(x).rank != 4 && tries < 20; ++tries)
      x = values_[static_cast<size_t>(pick(std::ssize(values_)))];
    return x;
  }
  NodeId like(const Shape& shape) {  // an older value of that shape
    std::vector<NodeId> same;
    for (NodeId v : values_)
      if (g_.shape(v) == shape) same.push_back(v);
    GRAFT_CHECK(!same.empty(), "none");
    return same[static_cast<size_t>(pick(std::ssize(same)))];
  }

  NodeId norm_and_activation(NodeId x) {
    if (chance(60)) x = keep(g_.batch_norm(name("bn"), x));
    if (chance(15)) x = keep(g_.batch_norm(name("bn"), x));
    if (chance(50)) x = activation(x);
    return x;
  }
  NodeId activation(NodeId x) { return keep(g_.activate(static_cast<Activation>(pick(5)), x, name("act"))); }
  NodeId keep(NodeId x) {
    values_.push_back(x);
    return x;
  }

  NodeId conv(NodeId x, int64_t out, int32_t stride) {
    ConvOptions o;
    const auto window = static_cast<int32_t>(1 + pick(4));
    o.stride = stride;
    o.dilation = chance(20) ? 2 : 1;
    o.same = chance(40);
    if (chance(30)) o.pad = static_cast<int32_t>(pick(3));
    const int64_t in = g_.channels(x);
    if (chance(20) && out % in == 0) o.groups = static_cast<int32_t>(in);
    o.bias = chance(30);
    return keep(g_.conv(name("conv"), x, out, window, o));
  }

  NodeId step() {
    switch (pick(12)) {
      case 0:
      case 1:
        return norm_and_activation(conv(image(), 1 + pick(8), static_cast<int32_t>(1 + pick(2))));
      case 2: {
        const NodeId x = image();
        return norm_and_activation(
            keep(g_.depthwise(name("dw"), x, static_cast<int32_t>(1 + 2 * pick(3)), {.same = chance(50)})));
      }
      case 3:
        return norm_and_activation(any());
      case 4: {
        const NodeId a = any();
        const NodeId sum = keep(g_.add(a, like(g_.shape(a)), name("add")));
        return chance(60) ? activation(sum) : sum;
      }
      case 5: {  // residual block
        const NodeId x = image();
        NodeId y = keep(g_.conv(name("conv"), x, g_.channels(x), 3));
        if (chance(80)) y = keep(g_.batch_norm(name("bn"), y));
        if (chance(30)) y = keep(g_.stochastic_depth(0.5, y, name("depth")));
        const NodeId shortcut = chance(30) ? keep(g_.conv(name("conv"), x, g_.channels(x), 1)) : x;
        const NodeId sum = keep(chance(50) ? g_.add(y, shortcut, name("add")) : g_.add(shortcut, y, name("add")));
        return chance(70) ? activation(sum) : sum;
      }
      case 6: {  // squeeze-and-excite
        NodeId x = image();
        if (chance(60)) x = norm_and_activation(keep(g_.depthwise(name("dw"), x, 3)));
        const NodeId mean = g_.global_avg_pool(x, name("mean"));
        if (chance(20)) keep(mean);
        NodeId s = g_.conv(name("fc"), mean, 1 + pick(4), 1, {.bias = chance(70)});
        s = g_.activate(static_cast<Activation>(pick(5)), s, name("act"));
        if (chance(20)) keep(s);
        s = g_.conv(name("fc"), s, g_.channels(x), 1, {.bias = chance(70)});
        s = g_.activate(Activation::sigmoid, s, name("act"));
        return g_.multiply(x, s, name("mul"));
      }
      case 7: {
        const NodeId x = image();
        const PoolOptions o{static_cast<int32_t>(1 + pick(2)), static_cast<int32_t>(pick(2)), chance(50)};
        const auto window = static_cast<int32_t>(2 + pick(2));
        return chance(50) ? g_.max_pool(name("max"), x, window, o) : g_.avg_pool(name("avg"), x, window, o);
      }
      case 8:
        return chance(50) ? g_.dropout(0.5, any(), name("drop")) : g_.stochastic_depth(0.5, any(), name("depth"));
      case 9: {
        const NodeId x = image(), y = like(g_.shape(x));
        return g_.concat({x, y, x}, name("concat"));
      }
      case 10: {
        const NodeId x = image();
        return g_.subsample_pad(name("pad"), x, g_.channels(x) + pick(4), static_cast<int32_t>(1 + pick(2)), 0);
      }
      default: {
        NodeId x = any();
        if (g_.shape(x).rank == 4 && chance(60))
          x = keep(g_.adaptive_avg_pool(name("mean"), x, chance(50) ? Extent2{1, 1} : Extent2{2, 3}));
        if (g_.shape(x).rank == 4) x = keep(g_.flatten(x, name("flat")));
        x = norm_and_activation(keep(g_.linear(name("fc"), x, 1 + pick(9), chance(70))));
        return chance(20) ? g_.softmax(x, name("softmax")) : x;
      }
    }
  }

  uint64_t seed_, counter_ = 0;
  int names_ = 0;
  Builder g_;
  std::vector<NodeId> values_;
};

// Without the nodes no output needs; the input stays.
Graph pruned(const Graph& graph) {
  std::vector<bool> needed(graph.nodes.size());
  needed[0] = true;
  for (const Output& o : graph.outputs) needed[static_cast<size_t>(o.node)] = true;
  for (NodeId id = graph.size() - 1; id >= 0; --id)
    if (needed[static_cast<size_t>(id)])
      for (NodeId input : graph.node(id).inputs) needed[static_cast<size_t>(input)] = true;
  Graph out{graph.name, {}, graph.outputs, {}};
  std::vector<NodeId> number(graph.nodes.size());
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!needed[static_cast<size_t>(id)]) continue;
    number[static_cast<size_t>(id)] = out.size();
    Node node = graph.node(id);
    for (NodeId& input : node.inputs) input = number[static_cast<size_t>(input)];
    out.nodes.push_back(std::move(node));
  }
  for (Output& o : out.outputs) o.node = number[static_cast<size_t>(o.node)];
  return out;
}

Graph bypassed(Graph graph, NodeId id, NodeId instead) {
  for (Node& node : graph.nodes)
    for (NodeId& input : node.inputs)
      if (input == id) input = instead;
  for (Output& o : graph.outputs)
    if (o.node == id) o.node = instead;
  return graph;
}

std::vector<Graph> smaller(const Graph& graph) {
  std::vector<Graph> candidates;
  for (NodeId id = 0; id + 1 < graph.size(); ++id) {  // everything up to one node
    candidates.push_back(graph);
    candidates.back().outputs = {{"last", id}};
  }
  for (size_t i = 0; graph.outputs.size() > 1 && i < graph.outputs.size(); ++i) {
    candidates.push_back(graph);
    candidates.back().outputs.erase(candidates.back().outputs.begin() + static_cast<std::ptrdiff_t>(i));
  }
  for (NodeId id = 1; id < graph.size(); ++id)
    for (NodeId input : graph.node(id).inputs) candidates.push_back(bypassed(graph, id, input));
  for (int64_t side : {1, 2, 3, 5}) {
    const Input& input = graph.input();
    if (side >= input.height && side >= input.width) continue;
    candidates.push_back(graph);
    auto& smaller_input = std::get<Input>(candidates.back().nodes[0].op);
    smaller_input.height = std::min(side, input.height);
    smaller_input.width = std::min(side, input.width);
  }
  return candidates;
}

}  // namespace

Graph random_graph(uint64_t seed) { return Maker(seed).make(); }

Graph shrink(Graph graph, const std::function<bool(const Graph&)>& fails) {
  for (bool progress = true; progress;) {
    progress = false;
    for (const Graph& candidate : smaller(graph)) {
      Graph next = pruned(candidate);
      try {
        validate(next);
      } catch (const Error&) {
        continue;
      }
      if (next == graph || !fails(next)) continue;
      graph = std::move(next);
      progress = true;
      break;
    }
  }
  return graph;
}

}  // namespace graft::test
