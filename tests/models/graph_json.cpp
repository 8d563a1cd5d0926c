#include "models/graph_json.h"

#include <catch2/catch.hpp>

#include "contract/philox.h"
#include "core/error.h"
#include "models/builder.h"
#include "models/registry.h"

using namespace graft;
using namespace graft::models;
using Catch::Matchers::Contains;

namespace {

Graph every_kind() {
  Builder g("all");
  NodeId x = g.conv("conv", g.input(9, 7, 4), 8, 3, {.stride = 2, .dilation = 2, .groups = 2, .bias = true});
  x = g.batch_norm("bn", g.depthwise("dw", x, 5, {.same = true}), 1e-3, 0.01);
  for (Activation a : {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid})
    x = g.activate(a, x);
  x = g.multiply(x, g.global_avg_pool(x));
  x = g.concat({g.max_pool("max", x, 3, {.stride = 1, .pad = 1}),
                g.avg_pool("avg", x, 3, {.stride = 1, .pad = 1, .count_include_pad = false})});
  x = g.stochastic_depth(0.1, g.add(x, x));
  x = g.subsample_pad("pad", x, 20, 2, 1);
  g.output(x, "features");
  x = g.dropout(0.3, g.flatten(x));
  g.output(g.softmax(g.linear("fc", x, 3)), "probabilities");
  g.head("fc");
  return g.finish();
}

void check_refused(std::string text, const std::string& old_text, const std::string& new_text, const char* message) {
  const size_t at = text.find(old_text);
  REQUIRE(at != std::string::npos);
  text.replace(at, old_text.size(), new_text);
  CHECK_THROWS_WITH(graph_from_json(text, "m.h5"), Contains(message) && Contains("m.h5: "));
}

}  // namespace

TEST_CASE("a graph written and read is the same graph") {
  const Graph graph = every_kind();
  CHECK(graph_from_json(to_json(graph), "m.h5") == graph);
  for (const Model& model : all_models()) CHECK(graph_from_json(to_json(model.make(7)), "m.h5") == model.make(7));
}

TEST_CASE("JSON that is no graph is an error with the file and the place") {
  const std::string good = to_json(every_kind());
  CHECK_THROWS_WITH(graph_from_json("", "m.h5"), "m.h5: the graph is no JSON; the file is damaged");
  CHECK_THROWS_WITH(graph_from_json("[]", "m.h5"), "m.h5: the graph is no object");
  CHECK_THROWS_WITH(graph_from_json("{}", "m.h5"), "m.h5: the graph has no \"format\"");
  CHECK_THROWS_WITH(graph_from_json(std::string(1 << 20, '['), "m.h5"), Contains("no JSON"));
  check_refused(good, "\"format\":1", "\"format\":2", "format 2, this graft reads 1");
  check_refused(good, "\"format\":1", "\"format\":1,\"x\":1", "1 members that this version of graft does not know");
  check_refused(good, "\"op\":\"conv2d\"", "\"op\":\"exec\"", "node 1 of the graph: there is no operation \"exec\"");
  check_refused(good, "\"inputs\":[0]", "\"inputs\":[5]", "conv: node 1 reads node 5");
  check_refused(good, "\"inputs\":[0]", "\"inputs\":[-1]", "conv: node 1 reads node -1");
  check_refused(good, "\"inputs\":[0]", "\"inputs\":[0,0]", "conv2d takes 1 inputs, the graph gives it 2");
  check_refused(good, "\"inputs\":[0]", "\"inputs\":[0.5]", "\"inputs\" is no whole number in range");
  check_refused(good, "\"inputs\":[0]", "\"inputs\":[4294967296]", "\"inputs\" is no whole number in range");
  check_refused(good, "\"inputs\":[0]", "\"inputs\":7", "\"inputs\" is no list");
  check_refused(good, "\"in_channels\":4", "\"in_channels\":18446744073709551615", "no whole number in range");
  check_refused(good, "\"in_channels\":4", "\"in_channels\":6", "conv: conv2d expects 6 channels");
  check_refused(good, "\"in_channels\":4", "\"x\":4", "has no \"in_channels\"");
  check_refused(good, "\"groups\":2", "\"groups\":3", "conv: conv2d groups 3 cannot be");
  check_refused(good, "\"window\":[3,3]", "\"window\":[3]", "\"window\" has 1 values, not 2");
  check_refused(good, "\"window\":[3,3]", "\"window\":[99999999,3]", "conv2d window 99999999x3 cannot be");
  check_refused(good, "\"same\":false", "\"same\":0", "\"same\" is neither true nor false");
  check_refused(good, "\"normal\"", "\"cauchy\"", "no initialisation graft knows");
  check_refused(good, "\"eps\":0.001", "\"eps\":\"small\"", "\"eps\" is no number");
  check_refused(good, "\"eps\":0.001", "\"eps\":-1", "bn: batch_norm eps -1 cannot be");
  check_refused(good, "\"name\":\"conv\"", "\"name\":\"input\"", "two layers are named input");
  check_refused(good, "\"name\":\"conv\"", "\"name\":\"a/b\"", "named \"a/b\"");
  check_refused(good, "\"name\":\"conv\"", "\"name\":null", "\"name\" is no text");
  check_refused(good, "\"head\":\"fc\"", "\"head\":\"bn\"", "the head bn is no linear layer");
  check_refused(good, "\"node\":", "\"node\":9", "is node 916 of 21");
}

// Whatever bytes change, the reader answers with a graph or an Error.
TEST_CASE("damaged text never gets through unnoticed by the checks") {
  const std::string good = to_json(every_kind());
  int graphs = 0;
  for (uint64_t i = 0; i < 3000; ++i) {
    const auto r = philox(7, i, 0);
    std::string text = good;
    text[r.word[0] % text.size()] = static_cast<char>(r.word[1]);
    if (r.word[2] % 4 == 0) text.resize(r.word[3] % text.size());
    try {
      validate(graph_from_json(text, "m.h5"));
      ++graphs;
    } catch (const Error&) {
    }
  }
  CHECK(graphs > 0);
  CHECK(graphs < 1500);
}
