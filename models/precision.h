// A plan in 16 bits: weights and the values between layers are bf16 or f16, what is given and given out stays f32.
#pragma once
#include "models/rewrite.h"

namespace graft::models {

// Vectors (biases, the statistics of norms, the sums that squeeze-and-excite begins with) stay f32, sums are f32 in
// every kernel, and batch norms were folded into weights of full precision before: each weight is rounded once, when it
// is packed. A linear layer gives its logits out in f32; other results, and what is given, go through a cast.
void use_16_bits(InferencePlan& plan, DType type);

}  // namespace graft::models
