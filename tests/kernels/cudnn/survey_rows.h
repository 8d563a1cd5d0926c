// Every dense convolution of a network, in each direction, as the graphs that cuDNN would be handed.
#pragma once
#include <string>
#include <vector>

#include "kernels/cuda/convolution_graph.h"

namespace graft::test {

struct SurveyRow {
  std::string direction;  // predict: folded and fused; train: forward as it is; data, weights: backward
  std::string shape;      // of one image: "56x56x64 3x3x64 / 2, bias, relu"
  cuda::ConvolutionGraph graph;
  bool own_serves = false;  // graft's own kernel can compute it
};

// In the network's order, each graph once.
std::vector<SurveyRow> survey_rows(const std::string& network, int64_t batch, DType type, cuda::F32Math math);

}  // namespace graft::test
