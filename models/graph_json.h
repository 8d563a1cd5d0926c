// A graph as JSON text, the way a graft file holds it.
#pragma once
#include <string>
#include <string_view>

#include "models/graph.h"

namespace graft::models {

// The same graph, the same bytes.
std::string to_json(const Graph& graph);

// Throws Error for anything that to_json would not have written: other syntax, unknown operations or attributes,
// numbers out of range, nodes out of order, channels that do not fit. `source` (a file's path) begins the message.
Graph graph_from_json(std::string_view text, std::string_view source);

}  // namespace graft::models
