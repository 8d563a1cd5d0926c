// A network small enough for tests.
#pragma once

#include "models/builder.h"

namespace graft::test {

// A network with every kind of state: batch norm, dropout, stochastic depth, a head called "fc".
inline models::Graph tiny_graph(int64_t classes) {
  models::Builder g("tiny");
  auto x = g.conv("conv1", g.input(16, 16, 3), 8, 3, {.stride = 2});
  x = g.relu(g.batch_norm("bn1", x));
  auto y = g.stochastic_depth(0.2, g.batch_norm("bn2", g.conv("conv2", x, 8, 3)));
  x = g.relu(g.add(x, y));
  x = g.dropout(0.1, g.flatten(g.global_avg_pool(x)));
  g.output(g.linear("fc", x, classes));
  g.head("fc");
  return g.finish();
}

}  // namespace graft::test
