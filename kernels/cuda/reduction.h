// The reduction of f32 to f32, for families whose last step is one.
#pragma once
#include "contract/backend.h"

namespace graft::cuda {

int64_t reduce_workspace(const ReduceArgs& a);
Status reduce(CallContext& call, const ReduceArgs& a);

}  // namespace graft::cuda
