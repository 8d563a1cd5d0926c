// A network as data: nodes in an order in which they can be computed. Training, compiling, summary, freezing, weight
// mapping and files all read this one definition.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "contract/shape.h"
#include "models/op.h"

namespace graft::models {

using NodeId = int32_t;  // an index into Graph::nodes

struct Node {
  std::string name;  // a dotted path: torchvision's where the node holds parameters ("layer1.0.conv1")
  Op op;
  std::vector<NodeId> inputs;  // all smaller than the node's own id
  friend bool operator==(const Node&, const Node&) = default;
};

struct Output {
  std::string name;  // "logits"
  NodeId node = 0;
  friend bool operator==(const Output&, const Output&) = default;
};

struct Graph {
  std::string name;             // "resnet50"
  std::vector<Node> nodes;      // node 0 is the one Input
  std::vector<Output> outputs;  // the first is the network's answer
  std::string head;             // the layer whose outputs are the classes ("fc"); empty when there is none
  friend bool operator==(const Graph&, const Graph&) = default;

  const Node& node(NodeId id) const { return nodes[static_cast<size_t>(id)]; }
  NodeId size() const { return static_cast<NodeId>(nodes.size()); }
  const Input& input() const { return std::get<Input>(nodes[0].op); }
};

// Axes of a parameter in files (PyTorch's order) and in memory (NHWC's).
enum class Axes : uint8_t {
  channels,   // C     · C
  oihw,       // OIHW  · OHWI
  depthwise,  // OIHW with I = 1 · HWC
  out_in,     // OI    · OI
};
const char* name_of(Axes axes);  // "C", "OIHW", "OIHW", "OI": the file's attribute `axes`

struct Parameter {
  std::string name;  // "layer1.0.conv1.weight"
  NodeId node = 0;
  Shape shape;  // as in files
  Axes axes = Axes::channels;
  bool is_buffer = false;  // running statistics: not trained
  Initializer init;

  Shape memory_shape() const;
};

// The parameters and buffers of one node, and of all nodes in order.
std::vector<Parameter> parameters_of(const Graph& graph, NodeId id);
std::vector<Parameter> parameters_of(const Graph& graph);

// The node of that name, or the last one of the module of that name ("layer3", "layer3.0"). Throws Error with near
// names.
NodeId find_node(const Graph& graph, std::string_view name);

// For each node, the nodes that read it (twice when it is read twice).
std::vector<std::vector<NodeId>> consumers_of(const Graph& graph);

// Number of classes: the head's outputs; 0 without a head.
int64_t classes_of(const Graph& graph);

// The same network with another number of classes. Throws Error when it has no head.
Graph with_classes(Graph graph, int64_t classes);

// Throws Error unless order, names, number of inputs, attributes and channels all fit. Every Graph that comes from
// outside goes through here.
void validate(const Graph& graph);

inline constexpr int64_t kMaxNodes = 1 << 16;
inline constexpr int64_t kMaxElements = int64_t{1} << 40;  // of one tensor: 8 TB in f64, within a virtual address

}  // namespace graft::models
