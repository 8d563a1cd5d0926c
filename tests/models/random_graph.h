// Networks nobody would draw: any operation after any other, values read twice, outputs in the middle, odd sizes.
#pragma once
#include <functional>

#include "models/graph.h"

namespace graft::test {

// The same seed, the same graph. Its outputs are the taps to compare.
models::Graph random_graph(uint64_t seed);

// A smaller graph that still fails: outputs dropped, nodes bypassed, the image cut down, until nothing more goes.
models::Graph shrink(models::Graph graph, const std::function<bool(const models::Graph&)>& fails);

}  // namespace graft::test
