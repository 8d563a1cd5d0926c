// The unfused list of calls: one or two for each node that the taps need.
#pragma once
#include "models/rewrite.h"

namespace graft::models {

InferencePlan lower(const Graph& graph, const PieceRequest& request);

// The arguments of a call, read and written as what they are.
template <typename Args>
Args& args_of(PlanCall& call) {
  return *reinterpret_cast<Args*>(call.args.bytes);
}

}  // namespace graft::models
