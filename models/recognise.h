// Which network a weights file holds, from the names and shapes of its tensors alone.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/graph.h"

namespace graft::models {

// One tensor of a file. PyTorch's counters `….num_batches_tracked` are passed over everywhere.
struct NamedShape {
  std::string name;
  std::vector<int64_t> shape;
};

struct Fit {
  std::string model;
  int64_t classes = 0;
};

// The network of the registry whose tensors are exactly these, whatever its number of classes; nullopt when none is.
std::optional<Fit> recognise(std::span<const NamedShape> tensors);

// The network for a file: `arch`, or the one recognised when `arch` is empty, with as many classes as the file's head
// has. When the tensors do not fit, throws Error with a table of what is misshapen, missing and unexpected, and what to
// do. `file` is for the message.
Graph graph_for(std::span<const NamedShape> tensors, std::string_view file, std::string_view arch = {});

// The same for a graph at hand: throws Error unless the tensors are exactly its parameters.
void check_fits(const Graph& graph, std::span<const NamedShape> tensors, std::string_view file);

}  // namespace graft::models
