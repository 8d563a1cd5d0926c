// Shapes of all values of a graph for a batch and an input size.
#pragma once
#include <span>
#include <vector>

#include "models/graph.h"

namespace graft::models {

// The shape of a node's output. Throws Error, naming the layer, when the inputs do not fit or the size overflows.
Shape output_shape(const Node& node, std::span<const Shape> inputs);

// One shape a node. height and width 0: the graph's own. A batch of 0 is allowed.
std::vector<Shape> infer_shapes(const Graph& graph, int64_t batch, int64_t height = 0, int64_t width = 0);

// A convolution's geometry for an input [N, H, W, C]: SAME becomes numbers.
Conv2dParams conv_params(const Conv2d& conv, const Shape& input);

}  // namespace graft::models
