#include "models/summary.h"

#include <catch2/catch.hpp>

#include "core/error.h"
#include "models/builder.h"
#include "models/registry.h"

using namespace graft;
using namespace graft::models;
using Catch::Matchers::Contains;

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

TEST_CASE("the table shows shapes, counts and totals") {
  const std::string table = to_table(summarize(make_model("resnet18"), 16));
  const auto line = [&](std::string_view layer) {
    const size_t begin = table.find(std::string(layer).append(" "));
    std::string words;  // with single blanks
    for (char c : table.substr(begin, table.find('\n', begin) - begin))
      if (c != ' ' || (!words.empty() && words.back() != ' ')) words += c;
    return words;
  };
  CHECK(line("layer1.0.conv1") == "layer1.0.conv1 conv2d [16, 56, 56, 64] 36,864 1,849,688,064");
  CHECK(line("layer1.0.relu_1") == "layer1.0.relu_1 relu [16, 56, 56, 64] - -");
  CHECK_THAT(table,
             Contains("resnet18: 11,689,512 parameters, 29,025,173,504 multiply-adds on an input of [16, 224, 224, "
                      "3]\n"));
}

TEST_CASE("a cost beyond 64 bits is an error") {
  Builder g("huge");
  g.output(g.conv("conv", g.input(1, 1, 1 << 24), 1, 16, {.pad = 4096}));
  CHECK_THROWS_WITH(summarize(g.finish(), 1 << 12), "conv: the number of multiply-adds overflows");
}
