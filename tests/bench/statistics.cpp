// Medians, quartiles and the roofline: arithmetic on given numbers.
#include "bench/statistics.h"

#include <catch2/catch.hpp>

#include "bench/machine.h"
#include "bench/roofline.h"
#include "tests/bench/support.h"
#include "tests/support/temporary_folder.h"

using namespace graft::bench;

TEST_CASE("median and quartiles, interpolated") {
  const Summary five = summarise({5, 1, 4, 2, 3});
  CHECK(five.median == 3);
  CHECK(five.lower == 2);
  CHECK(five.upper == 4);
  CHECK(five.count == 5);
  CHECK(five.spread() == Approx(1.0 / 3));
  const Summary four = summarise({10, 40, 20, 30});
  CHECK(four.median == 25);
  CHECK(four.lower == 17.5);
  CHECK(four.upper == 32.5);
  CHECK(summarise({7}).median == 7);
  CHECK(summarise({7}).spread() == 0);
  CHECK(summarise({}).count == 0);
}

TEST_CASE("one run of many that something disturbed moves neither median nor spread far") {
  std::vector<double> runs(20, 1.0);
  runs[7] = 1000;
  CHECK(summarise(runs).median == 1);
  CHECK(summarise(runs).spread() == 0);
}

TEST_CASE("the roofline is the later of computing and moving") {
  const Limits limits{.flops = 100e9, .bandwidth = 10e9};  // balance: 10 operations a byte
  const Roofline moves = roofline(9e9, 1e9, limits);
  CHECK_FALSE(moves.computes);
  CHECK(moves.seconds == Approx(0.1));
  CHECK(moves.share(0.2) == Approx(0.5));
  const Roofline computes = roofline(11e9, 1e9, limits);
  CHECK(computes.computes);
  CHECK(computes.seconds == Approx(0.11));
  CHECK_FALSE(roofline(0, 1e9, limits).computes);
  CHECK(roofline(0, 1e9, limits).share(0) == 0);
  const Limits both = better(limits, {.flops = 90e9, .bandwidth = 20e9});
  CHECK(both.flops == 100e9);
  CHECK(both.bandwidth == 20e9);
}

TEST_CASE("clocks are read where they can be, and are no number where they cannot") {
  const graft::test::TemporaryFolder folder;
  CHECK(read_clocks(folder.path().string()).empty());
  std::filesystem::create_directories(folder / "cpu0/cpufreq");
  std::filesystem::create_directories(folder / "cpu1");
  CHECK(read_clocks(folder.path().string()).empty());
  graft::test::write_text(folder / "cpu0/cpufreq/scaling_cur_freq", "2600000\n");
  CHECK(read_clocks(folder.path().string()) == std::vector<double>{2.6});
}
