// Rewrites of a recorded training step that save passes over memory and change no result beyond rounding.
#pragma once
#include <cstdint>
#include <vector>

#include "core/recorder.h"

namespace graft {

// Batch norm, the residual added to it and the activation after it become one call, and so do their backwards:
//   forward   bn(x) → y;  y + r → s;  act(s) → z          becomes   act(bn(x) + r) → z
//   backward  act′(z)·dz → g;  bn_backward(g) → dx, …      becomes   bn_backward(dz, z) → dx, …, g
// The tensors between are never stored. relu and relu6 only: their mask is read off z. `kept` buffers are not fused
// away.
void fuse_batch_norms(Recording& recording, const std::vector<int32_t>& kept);

}  // namespace graft
