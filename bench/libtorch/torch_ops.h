// A primitive as LibTorch's op.
#pragma once
#include <ATen/ATen.h>

#include <functional>
#include <vector>

#include "bench/libtorch/peer_io.h"

namespace graft::bench {

// What is timed, and where its results belong: one tensor for each view of the call from the first output or in-out
// on, in the axes of the view; undefined: LibTorch makes another thing there.
struct TorchOp {
  std::function<std::vector<at::Tensor>()> run;
  std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)> in_graft_order;
};

// Tensors live on `device`. No `run`: LibTorch has no op for it. What a training step has at hand from its forward pass
// (saved statistics, indices) is made here, and not timed.
TorchOp torch_op(const PeerCase& c, at::Device device);

}  // namespace graft::bench
