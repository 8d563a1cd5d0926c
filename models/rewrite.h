// From a graph to what a backend compiles: the calls of a piece, in inference mode, over numbered buffers.
//
// First the nodes that the taps need are written down one by one (dropout and stochastic depth vanish, flatten becomes
// a permutation or nothing). Then four rewrites, each only where the value in between is read once and is not a tap:
//   batch norm after a convolution or linear layer   becomes a factor on its weights' rows and a bias
//   add after a convolution or batch norm            becomes its residual
//   activation after what can apply one              becomes part of it
//   two 1x1 convolutions from x's mean to its gate   become one call, of sums that x's depthwise convolution leaves
// Switched off, the same list is the unfused network. In 16 bits, casts stand at the borders (models/precision.h).
#pragma once
#include <string>
#include <vector>

#include "contract/recording.h"
#include "models/graph.h"

namespace graft::models {

struct PieceRequest {
  std::vector<NodeId> taps;    // values to give out, in this order; a node may be asked for more than once
  std::vector<NodeId> inputs;  // values that are given, none of which is computed; empty: the image
  int64_t batch = 1;
  int64_t height = 0, width = 0;  // 0: the graph's own
  DType compute = DType::f32;     // of weights and of what lies between layers; bf16, f16: models/precision.h
};

struct RewriteOptions {
  bool fold_batch_norms = true, fuse_residuals = true, fuse_activations = true, fuse_squeeze_excite = true;
};
inline constexpr RewriteOptions kNoRewrites{false, false, false, false};

// y = (x − running_mean) / √(running_var + eps) · weight + bias of this layer
struct BatchNormFold {
  std::string layer;
  double eps = 0;
};

// What a constant buffer holds: a tensor of the weights file, changed by the batch norms folded into it, first to last.
// With s = weight / √(running_var + eps), by output channel k:
//   is_weight    row k · Π s[k]
//   else         b[k] ← (b[k] − running_mean[k]) · s[k] + bias[k] for each
struct PlanConstant {
  int32_t buffer = 0;
  std::string tensor;  // empty: zeros (the bias of a convolution that had none)
  bool is_weight = false;
  std::vector<BatchNormFold> folds;
};

struct PlanCall {
  Primitive primitive = {};
  NodeId layer = 0;
  AnyArgs args = {};  // views hold virtual addresses

  TensorView* views() { return views_of(args.bytes); }
  const TensorView* views() const { return views_of(args.bytes); }
};

// A piece with everything it refers to.
struct InferencePlan {
  std::vector<PlanCall> calls;
  std::vector<PieceBuffer> buffers;
  std::vector<PlanConstant> constants;
  std::vector<int32_t> inputs, outputs;  // buffers, in the request's order
  std::vector<std::string> layer_names;  // by PlanCall::layer
};

// Throws Error when a tap cannot be computed from the inputs.
InferencePlan make_plan(const Graph& graph, const PieceRequest& request, const RewriteOptions& options = {});

// The plan as a backend takes it; `calls` holds what the result points to, as does the plan.
Piece piece_of(const InferencePlan& plan, std::vector<RecordedCall>& calls);

}  // namespace graft::models
