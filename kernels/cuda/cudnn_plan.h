// Which of cuDNN's engines computes a convolution: the first of heuristic mode A that keeps graft's promises. Nothing
// is timed, so the same shape on the same kind of GPU has the same plan and the same bits in every run.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/cuda/cudnn_graph.h"

namespace graft::cuda {

// What plans are asked for: the GPU of a handle, or one that is only described, which needs neither a GPU nor a driver
// (cuDNN 9.8 and later).
class CudnnDevice {
 public:
  explicit CudnnDevice(cudnnHandle_t handle) : handle_(handle) {}
  CudnnDevice(const Cudnn&, std::string_view properties_json);

  bool ok() const { return handle_ != nullptr || properties_->ok(); }
  cudnnHandle_t handle() const { return handle_; }
  void enter(CudnnDescriptor& to, cudnnBackendAttributeName_t properties) const {
    if (properties_) to.set(properties, *properties_);
  }

 private:
  cudnnHandle_t handle_ = nullptr;
  std::optional<CudnnDescriptor> properties_;
};

struct CudnnPlan {
  CudnnDescriptor plan;
  int64_t workspace_bytes = 0;
  std::string name;       // "cudnn 7 2=1 13=4": its engine, and what its knobs are set to
  int64_t engine = -1;    // cuDNN's number of it
  uint32_t notes = 0;     // bit i: cudnnBackendNumericalNote_t i
  bool compiled = false;  // by cuDNN, when the plan is made: that takes most of a second
};

// Sums are made in f32, in an order fixed by shape, of the products that the contract's formula has: no engine whose
// sums race (nondeterministic), are kept in 16 bits (reduced precision reduction), or go through a transform that
// spreads an infinity to its neighbours and rounds otherwise (FFT, Winograd). Engines that round f32 inputs
// (tensor core, down-converting) are taken for tf32 alone; for 16-bit elements a tensor core rounds nothing.
bool keeps_promises(uint32_t notes, DType elements, F32Math);

// Workspaces above it are refused: one such layer would decide how much memory a network takes.
inline constexpr int64_t kMostPlanWorkspace = int64_t{1} << 30;

// The first of the heuristic that keep the promises of the graph's types and rounding, each name once. With a name the
// one of this name alone.
std::vector<CudnnPlan> list_plans(const Cudnn&, const CudnnDevice&, const ConvolutionGraph&, size_t most,
                                  std::string_view name = {});

// Nothing: cuDNN has no such plan, and graft's own kernel computes this convolution.
std::optional<CudnnPlan> choose_plan(const Cudnn&, const CudnnDevice&, const ConvolutionGraph&);

}  // namespace graft::cuda
