// A primitive as oneDNN's, through the tensors in which LibTorch carries oneDNN's own memory.
#pragma once
#include "bench/libtorch/torch_ops.h"

namespace graft::bench {

TorchOp onednn_op(const PeerCase& c, at::Device device);

}  // namespace graft::bench
