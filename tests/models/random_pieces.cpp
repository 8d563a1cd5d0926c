// Compiled pieces equal the interpreted network, on graphs drawn from a seed.
#include <catch2/catch.hpp>

#include "core/error.h"
#include "models/graph_json.h"
#include "tests/models/piece_support.h"
#include "tests/models/random_graph.h"

using namespace graft;
using namespace graft::models;
using namespace graft::test;

namespace {

PieceRequest request_for(const Graph& graph) {
  PieceRequest request;
  request.batch = 2;
  for (const Output& o : graph.outputs) request.taps.push_back(o.node);
  return request;
}

bool differs(const Graph& graph) {
  const auto request = request_for(graph);
  static const auto own_kernels = cpu_device();
  const Values exact = interpret(graph, request);
  for (const Values& compiled :
       {run_piece(graph, request), run_piece(graph, request, kNoRewrites), run_piece(graph, request, {}, own_kernels)})
    for (size_t i = 0; i < exact.size(); ++i)
      if (!(relative_error(compiled[i], exact[i]) <= 1e-5)) return true;
  return false;
}

void check_seeds(uint64_t first, uint64_t last) {
  for (uint64_t seed = first; seed < last; ++seed) {
    const Graph graph = random_graph(seed);
    const bool fails = differs(graph);
    INFO("seed " << seed << "; the smallest graph that still differs:\n"
                 << (fails ? to_json(shrink(graph, differs)) : ""));
    REQUIRE_FALSE(fails);
  }
}

size_t calls(const InferencePlan& plan, Primitive primitive) {
  size_t count = 0;
  for (const PlanCall& call : plan.calls) count += call.primitive == primitive;
  return count;
}

}  // namespace

TEST_CASE("50 random graphs, compiled, equal the interpreted ones") { check_seeds(0, 50); }
TEST_CASE("500 random graphs, compiled, equal the interpreted ones", "[.full]") { check_seeds(0, 500); }

// Or the comparison would compare nothing.
TEST_CASE("random graphs give every rewrite work, and reasons to refuse it") {
  size_t folded = 0, residuals = 0, activations = 0, kept_norms = 0, kept_adds = 0, kept_activations = 0, taps = 0;
  size_t gates = 0, gates_of_sums = 0, gates_of_layers = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Graph graph = random_graph(seed);
    const auto request = request_for(graph);
    const auto plain = make_plan(graph, request, kNoRewrites), fused = make_plan(graph, request);
    const auto gone = [&](Primitive p) { return calls(plain, p) - calls(fused, p); };
    folded += gone(Primitive::batch_norm_inference);
    residuals += gone(Primitive::add);
    activations += gone(Primitive::activate);
    kept_norms += calls(fused, Primitive::batch_norm_inference);
    kept_adds += calls(fused, Primitive::add);
    kept_activations += calls(fused, Primitive::activate);
    taps += graph.outputs.size();
    gates += calls(fused, Primitive::squeeze_excite);
    gates_of_sums += gone(Primitive::adaptive_avg_pool);
    gates_of_layers += calls(fused, Primitive::multiply) - calls(fused, Primitive::squeeze_excite);
  }
  CHECK(folded > 20);
  CHECK(residuals > 15);
  CHECK(activations > 30);
  CHECK(kept_norms > 10);
  CHECK(kept_adds > 10);
  CHECK(kept_activations > 2);
  CHECK(taps > 70);
  CHECK(gates > 15);
  CHECK(gates_of_sums > 5);
  CHECK(gates_of_layers > 0);
}

TEST_CASE("a failure is shrunk to what causes it") {
  const auto has_norm_after_activation = [](const Graph& g) {
    for (const Node& node : g.nodes)
      if (std::holds_alternative<BatchNorm>(node.op) && std::holds_alternative<Activate>(g.node(node.inputs[0]).op))
        return true;
    return false;
  };
  size_t shrunk = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Graph graph = random_graph(seed);
    if (graph.size() < 8 || !has_norm_after_activation(graph)) continue;
    const Graph small = shrink(graph, has_norm_after_activation);
    CHECK(has_norm_after_activation(small));
    CHECK(small.size() <= 5);
    ++shrunk;
  }
  CHECK(shrunk >= 3);
}
