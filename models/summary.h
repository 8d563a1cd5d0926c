// What a network is made of, layer by layer: shapes, parameters, multiply-adds.
#pragma once
#include <string>
#include <vector>

#include "models/graph.h"

namespace graft::models {

struct SummaryRow {
  std::string name, kind;  // "layer1.0.conv1", "conv2d"
  Shape output;            // [16, 56, 56, 64]
  int64_t parameters = 0;  // running statistics are not counted
  int64_t multiply_adds = 0;
};

struct Summary {
  std::string name;
  Shape input;
  std::vector<SummaryRow> rows;
  int64_t parameters = 0;
  int64_t multiply_adds = 0;
};

// height and width 0: the graph's own. Multiply-adds are those of convolutions and linear layers, over the whole batch.
Summary summarize(const Graph& graph, int64_t batch = 1, int64_t height = 0, int64_t width = 0);

}  // namespace graft::models
