#include <catch2/catch.hpp>

#include "models/builder.h"
#include "tests/models/piece_support.h"

using namespace graft;
using namespace graft::models;
using namespace graft::test;

TEST_CASE("of two activations in a row both happen") {
  Builder g("twice");
  NodeId x = g.conv("conv", g.input(5, 4, 3), 8, 3);
  g.output(g.activate(Activation::sigmoid, g.relu(x)));
  const Graph graph = g.finish();
  const PieceRequest request{.taps = {graph.outputs[0].node}, .inputs = {}, .batch = 2, .height = 5, .width = 4};
  const auto fused = run_piece(graph, request)[0], plain = run_piece(graph, request, {false, false, false})[0];
  CHECK(relative_error(fused, plain) < 1e-6);
  for (float y : fused) CHECK(y >= 0.5f);  // sigmoid of what is not negative
}
