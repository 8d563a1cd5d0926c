// Small networks that train beside the reference: on the kernels that g++ compiled, and on a GPU.
#pragma once
#include "contract/backend.h"
#include "tests/kernels/cuda/small_networks.h"

namespace graft::test {

// Three steps and a prediction. The reference repeats each call of each step in f64, from its own inputs, and it lies
// within the op table's bound; and the training as a whole stays within `logits_bound` and `update_bound` (relative, of
// what the steps did to the parameters) of the reference's. The backend is destroyed at the end.
void check_training(const SmallNetwork&, const Backend&, DType compute, double logits_bound, double update_bound);

}  // namespace graft::test
