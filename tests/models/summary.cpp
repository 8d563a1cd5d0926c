#include "models/summary.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "core/error.h"
#include "models/builder.h"
#include "models/registry.h"

using namespace graft;
using namespace graft::models;

TEST_CASE("a summary counts by hand what can be counted by hand") {
  Builder g("tiny");
  NodeId x = g.batch_norm("bn", g.conv("conv", g.input(10, 8, 4), 6, 3, {.groups = 2, .bias = true}));
  g.output(g.linear("fc", g.global_avg_pool(x), 5));
  const Summary s = summarize(g.finish(), 2);
  REQUIRE(s.rows.size() == 6);
  CHECK(s.rows[1].kind == "conv2d");
  CHECK(s.rows[1].output == Shape{2, 10, 8, 6});
  CHECK(s.rows[1].parameters == 6 * 2 * 9 + 6);
  CHECK(s.rows[1].multiply_adds == 2 * 10 * 8 * 6 * 2 * 9);
  CHECK(s.rows[2].parameters == 12);  // not the running statistics
  CHECK(s.rows[5].multiply_adds == 2 * 5 * 6);
  CHECK(s.parameters == 114 + 12 + 35);
  CHECK(s.multiply_adds == 17280 + 17280 * 0 + 60);
}

TEST_CASE("a summary has a row for each layer, and totals") {
  const Summary s = summarize(make_model("resnet18"), 16);
  const auto row = [&](std::string_view layer) {
    const auto at = std::find_if(s.rows.begin(), s.rows.end(), [&](const SummaryRow& r) { return r.name == layer; });
    REQUIRE(at != s.rows.end());
    return *at;
  };
  CHECK(row("layer1.0.conv1").kind == "conv2d");
  CHECK(row("layer1.0.conv1").output == Shape{16, 56, 56, 64});
  CHECK(row("layer1.0.conv1").parameters == 36'864);
  CHECK(row("layer1.0.conv1").multiply_adds == 1'849'688'064);
  CHECK(row("layer1.0.relu_1").kind == "relu");
  CHECK(row("layer1.0.relu_1").parameters == 0);
  CHECK(s.parameters == 11'689'512);
  CHECK(s.multiply_adds == 29'025'173'504);
}

TEST_CASE("a cost beyond 64 bits is an error") {
  Builder g("huge");
  g.output(g.conv("conv", g.input(1, 1, 1 << 24), 1, 16, {.pad = 4096}));
  CHECK_THROWS_WITH(summarize(g.finish(), 1 << 12), "conv: the number of multiply-adds overflows");
}
