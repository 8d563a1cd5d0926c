// Verdicts that know the spread, and results that come back from their JSON.
#include "bench/baseline.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/bench/support.h"
#include "tests/support/temporary_folder.h"

using namespace graft::bench;
using Catch::Matchers::Contains;
using graft::test::TemporaryFolder;

namespace {

Summary around(double median, double half) {
  return {.median = median, .lower = median - half, .upper = median + half, .count = 10};
}

Row row(const std::string& name, const std::string& by, Summary warm) {
  Row r;
  r.name = name, r.by = by, r.dtype = "f32", r.kernel = "k", r.warm = warm, r.cold = warm;
  r.flops = 100, r.bytes = 40;
  return r;
}

Results results(std::vector<Row> rows) {
  Results r;
  r.date = "2026-01-02", r.version = "0", r.device = "cpu, here", r.dtype = "f32", r.threads = 2;
  r.limits_at_start = {.flops = 1000, .bandwidth = 100}, r.limits_at_end = {.flops = 900, .bandwidth = 90};
  r.rows = std::move(rows);
  return r;
}

}  // namespace

TEST_CASE("slower and faster need medians apart and runs that do not overlap") {
  CHECK(verdict(around(10, 0.1), around(12, 0.1)) == "slower");
  CHECK(verdict(around(12, 0.1), around(10, 0.1)) == "faster");
  CHECK(verdict(around(10, 1.5), around(12, 1.5)) == "same");      // the runs overlap
  CHECK(verdict(around(10, 0.01), around(10.2, 0.01)) == "same");  // 2 %
  CHECK(verdict(around(10.2, 0.01), around(10, 0.01)) == "same");
}

TEST_CASE("a row is compared with the one of its name, type and contestant") {
  Results now = results({row("a", "graft", around(2, 0)), row("a", "libtorch", around(2, 0)),
                         row("b", "graft", around(2, 0)), row("c", "graft", {})});
  now.rows[3].problem = "wrong";
  Results then = results({row("a", "libtorch", around(4, 0)), row("a", "graft", around(1, 0))});
  then.rows.push_back(row("b", "graft", around(1, 0)));
  then.rows.back().dtype = "bf16";
  compare_with_baseline(now, then);
  CHECK(now.rows[0].baseline.verdict == "slower");
  CHECK(now.rows[0].baseline.median == 1);
  CHECK(now.rows[1].baseline.verdict == "faster");
  CHECK(now.rows[2].baseline.verdict == "new");
  CHECK(now.rows[3].baseline.verdict.empty());
}

TEST_CASE("what makes two runs hard to compare is said") {
  const Results then = results({});
  Results now = results({});
  CHECK(differences(now, then).empty());
  now.limits_at_start.flops = 950;
  CHECK(differences(now, then).empty());
  now.limits_at_start.bandwidth = now.limits_at_end.bandwidth = 50;
  now.threads = 1;
  CHECK_THAT(differences(now, then),
             Contains("it had 2 threads, this has 1") && Contains("bandwidth measured 50 % of what it did then"));
}

TEST_CASE("results come back from their JSON") {
  Results r = results({row("a", "graft", around(0.05, 0.01)), row("b", "libtorch", {})});
  r.rows[0].cold = around(0.5, 0.25);
  r.rows[1].problem = "it died";
  r.rows[0].baseline = {.median = 0.1, .verdict = "faster"};
  r.dispatch.push_back({"a", "graft", around(1e-6, 0)});
  const auto json = to_json(r);
  CHECK(json["format"] == "graft bench kernels 1");
  CHECK(json["rows"][0]["seconds"] ==
        nlohmann::ordered_json({{"median", 0.05}, {"lower", 0.05 - 0.01}, {"upper", 0.05 + 0.01}, {"runs", 10}}));
  CHECK(json["rows"][0]["bound"] == "memory");  // 40 / 100 s against 100 / 1000
  CHECK(json["rows"][0]["share"].get<double>() == Approx(0.4 / 0.05));
  CHECK(json["rows"][0]["cold_share"].get<double>() == Approx(0.4 / 0.5));
  CHECK(json["rows"][0]["gigahertz"] == "not readable");
  CHECK(json["rows"][0]["baseline"]["verdict"] == "faster");
  CHECK(json["rows"][1]["problem"] == "it died");
  CHECK_FALSE(json["rows"][1].contains("seconds"));
  CHECK(json["dispatch"][0]["operation"] == "a");

  const TemporaryFolder folder;
  graft::test::write_text(folder / "r.json", json.dump());
  const Results back = read_results(folder / "r.json");
  REQUIRE(back.rows.size() == 2);
  CHECK(back.rows[0].warm.lower == r.rows[0].warm.lower);
  CHECK(back.rows[0].cold.upper == r.rows[0].cold.upper);
  CHECK(back.rows[1].problem == "it died");
  CHECK(back.threads == 2);
  CHECK(back.limits_at_end.flops == 900);
}

TEST_CASE("a file that is no result is refused by name") {
  const TemporaryFolder folder;
  const auto refused = [&](const char* text) {
    graft::test::write_text(folder / "x.json", text);
    CHECK_THROWS_WITH(read_results(folder / "x.json"), Contains("x.json was not written by graft bench kernels"));
  };
  refused("");
  refused("[1, 2]");
  refused("{\"format\": \"another\"}");
  refused("{\"format\": \"graft bench kernels 1\"}");
  refused("{\"format\": \"graft bench kernels 1\", \"date\": 3}");
  CHECK_THROWS_WITH(read_results(folder / "missing.json"), Contains("cannot open"));
}
