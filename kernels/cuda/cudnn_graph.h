// A ConvolutionGraph as cuDNN's descriptors.
#pragma once
#include <vector>

#include "kernels/cuda/convolution_graph.h"
#include "kernels/cuda/cudnn_library.h"

namespace graft::cuda {

cudnnDataType_t cudnn_type(DType);

// All of them finalised; in the graph's order.
struct CudnnGraph {
  std::vector<CudnnDescriptor> tensors, operators, operations;  // operators: what operations do, operations: to what
  CudnnDescriptor graph;

  // handle: nullptr where the device is only described (cudnn_plan.h).
  CudnnGraph(const Cudnn&, const ConvolutionGraph&, cudnnHandle_t handle);
  bool ok() const { return graph.ok(); }
};

}  // namespace graft::cuda
