// The graft line: which parameters train, which layers are frozen, and what can be compiled and cached.
//
// Below the line are the nodes that nothing trainable feeds: they run compiled, without gradients. A frozen layer above
// it passes gradients to its input and makes none for itself. Frozen means inference mode: a batch norm uses and keeps
// its running statistics, dropout and stochastic depth are off.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/graph.h"

namespace graft::models {

// Patterns with * and ? over names of parameters ("*.bias"), layers ("layer1.0.conv1") or the modules they are in
// ("layer[1-3]", "features.0"). Give one list or the other; neither: everything trains.
struct FreezePatterns {
  std::vector<std::string> freeze;  // these are frozen, the rest trains
  std::vector<std::string> train;   // these train, the rest is frozen
};

struct FreezePlan {
  std::vector<bool> trainable;  // by parameter, in the order of parameters_of(graph); buffers never
  std::vector<bool> frozen;     // by node: in inference mode
  std::vector<bool> below;      // by node: below the line

  std::vector<bool> above() const;  // by node: the rest

  // The values that cross the line: computed below, read above or given out. In the graph's order.
  std::vector<NodeId> taps;
};

// Throws Error, with near names, for a pattern that matches nothing.
FreezePlan plan_freeze(const Graph& graph, const FreezePatterns& patterns);

// Shell patterns: * any text, ? any character, [a-z] one of a set. Dots are characters like any other.
bool matches(std::string_view pattern, std::string_view name);

}  // namespace graft::models
