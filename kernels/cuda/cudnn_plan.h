// Which of cuDNN's engines computes a convolution: the first of heuristic mode A that keeps graft's promises. Nothing
// is timed, so the same shape on the same kind of GPU has the same plan and the same bits in every run.
#pragma once
#include <optional>
#include <string_view>

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

enum class ConvolutionPrecision {
  strict,  // f32 is computed in f32
  tf32,    // f32 may be rounded to tf32 on its way into tensor cores
};

struct CudnnPlan {
  CudnnDescriptor plan;
  int64_t workspace_bytes = 0;
  int64_t engine = -1;    // cuDNN's number of it
  uint32_t notes = 0;     // bit i: cudnnBackendNumericalNote_t i
  bool compiled = false;  // by cuDNN, when the plan is made: that takes most of a second
};

// Sums are made in f32, in an order fixed by shape, of the products that the contract's formula has: no engine whose
// sums race (nondeterministic), are kept in 16 bits (reduced precision reduction), or go through a transform that
// spreads an infinity to its neighbours and rounds otherwise (FFT, Winograd). Engines that round f32 inputs
// (tensor core, down-converting) are taken in tf32 alone; for 16-bit elements a tensor core rounds nothing.
bool keeps_promises(uint32_t notes, DType elements, ConvolutionPrecision);

// Workspaces above it are refused: one such layer would decide how much memory a network takes.
inline constexpr int64_t kMostPlanWorkspace = int64_t{1} << 30;

// Nothing: cuDNN has no such plan, and graft's own kernel computes this convolution.
std::optional<CudnnPlan> choose_plan(const Cudnn&, const CudnnDevice&, const ConvolutionGraph&, ConvolutionPrecision);

}  // namespace graft::cuda
