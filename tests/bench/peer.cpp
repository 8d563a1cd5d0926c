// Peers that are right, wrong, dead and silent: each is told of in its row, and the others go on.
#include "bench/peer.h"

#include <catch2/catch.hpp>
#include <cstdlib>

#include "bench/correct.h"
#include "bench/run_cases.h"
#include "tests/bench/support.h"

using namespace graft;
using namespace graft::bench;
using Catch::Matchers::Contains;
using graft::test::case_named;
using graft::test::plain_device;

namespace {

constexpr std::chrono::milliseconds kPatience{20'000}, kLittle{400};

Results run(PeerEntrant& peer, const std::vector<KernelCase>& cases) {
  const auto device = plain_device();
  DeviceEntrant graft(device, 1);
  return run_cases(cases, device, graft, {&peer}, {.measure = {.seconds = 0, .fewest_runs = 3, .cold_runs = 1}},
                   [](size_t, const KernelCase&) { return true; });
}

const std::vector<KernelCase>& two_cases() {
  static const std::vector<KernelCase> cases = {case_named("add n=2 h=5 w=7 c=3 act=relu"),
                                                case_named("conv2d n=2 h=6 w=6 c=3 k=4 window=3", "weight")};
  return cases;
}

}  // namespace

TEST_CASE("a peer that is right is compared and timed, forward and backward") {
  PeerEntrant peer({GRAFT_FAKE_PEER, "right"}, kPatience);
  CHECK(peer.by() == "fake");
  CHECK(peer.description() == "a reference that is right");
  const Results results = run(peer, two_cases());
  REQUIRE(results.rows.size() == 4);
  for (const Row& row : results.rows) {
    INFO(row.by << " " << row.name << " " << row.problem);
    CHECK(row.timed());
    CHECK(row.warm.count == 3);
    CHECK(row.cold.count == 1);
  }
  CHECK(results.rows[1].by == "fake");
  CHECK(results.dispatch.size() == 4);  // two operations by two
  CHECK(results.contestants == std::vector<std::string>{"fake: a reference that is right"});
}

TEST_CASE("every operation's data reaches a peer whole") {
  PeerEntrant peer({GRAFT_FAKE_PEER, "right"}, kPatience);
  for (const char* line : {"batch_norm n=2 h=5 w=5 c=8 act=relu", "max_pool n=1 h=8 w=8 c=3 window=3 stride=2 pad=1",
                           "softmax_cross_entropy n=7 classes=9", "adamw count=100", "linear n=2 in=9 out=5"})
    for (const KernelCase& c : cases_of(line, DType::f32)) {
      INFO(c.name());
      CHECK(compare_with_reference(peer, c).empty());
    }
}

TEST_CASE("a peer that is wrong is not timed") {
  PeerEntrant peer({GRAFT_FAKE_PEER, "wrong"}, kPatience);
  const Results results = run(peer, two_cases());
  REQUIRE(results.rows.size() == 4);
  for (const size_t i : {1, 3}) {
    CHECK_FALSE(results.rows[i].timed());
    CHECK_THAT(results.rows[i].problem, Contains("wrong, so not timed"));
    CHECK(results.rows[i - 1].timed());
  }
}

TEST_CASE("a peer that dies is reported with its last words for each case, and graft is timed") {
  PeerEntrant peer({GRAFT_FAKE_PEER, "dies"}, kPatience);
  const Results results = run(peer, two_cases());
  REQUIRE(results.rows.size() == 4);
  for (const size_t i : {1, 3}) {
    CHECK_THAT(results.rows[i].problem, Contains("signal 11") || Contains("exit code"));  // a sanitizer's own exit
    CHECK(results.rows[i - 1].timed());
  }
#if !defined(__SANITIZE_ADDRESS__)
  CHECK_THAT(results.rows[1].problem, Contains("it last said: my last words") && !Contains("first words"));
#endif
}

TEST_CASE("a peer that falls silent is reported and graft is timed") {
  PeerEntrant peer({GRAFT_FAKE_PEER, "silent"}, kLittle);
  const Results results = run(peer, {two_cases()[0]});
  REQUIRE(results.rows.size() == 2);
  CHECK_THAT(results.rows[1].problem, Contains("has not answered for 0.4 s"));
  CHECK(results.rows[0].timed());
}

TEST_CASE("a peer that breaks while it is timed leaves graft's time") {
  PeerEntrant peer({GRAFT_FAKE_PEER, "fails-timing"}, kPatience);
  const Results results = run(peer, {two_cases()[0]});
  REQUIRE(results.rows.size() == 2);
  CHECK(results.rows[1].problem == "the peer answers: out of breath");
  CHECK(results.rows[0].timed());
}

TEST_CASE("a peer without an op makes no row, one that refuses says why in a line") {
  PeerEntrant without({GRAFT_FAKE_PEER, "unsupported"}, kPatience), refuses({GRAFT_FAKE_PEER, "refuses"}, kPatience);
  CHECK(run(without, two_cases()).rows.size() == 2);
  const Results results = run(refuses, two_cases());
  REQUIRE(results.rows.size() == 4);
  CHECK(results.rows[1].problem == "the peer answers: no such op here");
}

TEST_CASE("a program that is no peer is refused when it starts") {
  const auto start = [](std::vector<std::string> command) { PeerEntrant peer(std::move(command), kPatience); };
  CHECK_THROWS_WITH(start({"/nowhere/peer"}), Contains("cannot start /nowhere/peer: No such file"));
  CHECK_THROWS_WITH(start({"/bin/true"}), Contains("/bin/true ended with exit code 0"));
  CHECK_THROWS_WITH(start({GRAFT_FAKE_PEER, "garbage"}), Contains("does not speak graft's protocol"));
  CHECK_THROWS_WITH(start({GRAFT_FAKE_PEER, "other-version"}),
                    Contains("another version of graft; run bench/libtorch/setup again"));
}
