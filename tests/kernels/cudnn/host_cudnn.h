// The part of cuDNN, played on the host: its descriptors keep what they are given, its heuristic proposes what a test
// says, and a plan computes its graph in f64 on the memory of the host-run device; one on tensor cores rounds factors
// of f32 to TF32, as they would. So the plug-in's own way to cuDNN, from a backend's entry to the pointers of an
// execution, is followed without a GPU.
#pragma once
#include <cudnn_graph.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace graft::test {

struct Proposal {
  int64_t engine = 0;
  std::vector<cudnnBackendNumericalNote_t> notes;
  int64_t workspace_bytes = 0;
  std::vector<std::pair<cudnnBackendKnobType_t, int64_t>> knobs = {};
  cudnnStatus_t finalizes = CUDNN_STATUS_SUCCESS;
  cudnnStatus_t executes = CUDNN_STATUS_SUCCESS;
};

struct HostCudnn {
  std::vector<Proposal> proposals;
  bool has_device = true;  // or cudnnCreate fails

  int handles = 0, heuristics = 0, executions = 0;  // so far
  int64_t last_engine = -1;
  cudaStream_t last_stream = nullptr;  // that a plan was executed on
};
HostCudnn& host_cudnn();

}  // namespace graft::test
