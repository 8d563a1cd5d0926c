// Kernels out of a user's library: a right one is timed, a wrong one is not, and what cannot be opened says why.
#include "bench/user_kernel.h"

#include <catch2/catch.hpp>

#include "bench/run_cases.h"
#include "tests/bench/support.h"
#include "tests/support/temporary_folder.h"

using namespace graft;
using namespace graft::bench;
using Catch::Matchers::Contains;
using graft::test::case_named;
using graft::test::plain_device;

namespace {

// The user's row; graft's stands before it.
Row row_of(const std::string& symbol, const std::string& line) {
  const auto device = plain_device();
  DeviceEntrant graft(device, 1);
  UserKernel kernel(std::string(GRAFT_USER_KERNELS) + ":" + symbol, graft);
  Results results = run_cases({case_named(line)}, device, graft, {&kernel},
                              {.measure = {.seconds = 0, .fewest_runs = 3, .cold_runs = 1}},
                              [](size_t, const KernelCase&) { return true; });
  REQUIRE(results.rows.size() == 2);
  CHECK(results.rows[0].by == "graft");
  CHECK(results.rows[0].timed());
  CHECK(results.dispatch.size() == (results.rows[1].timed() ? 2 : 1));
  return results.rows[1];
}

const char* kRelu = "activate n=3 h=5 w=7 c=3 act=relu";

}  // namespace

TEST_CASE("a user's kernel that is right is timed beside graft's") {
  const Row row = row_of("right_relu", kRelu);
  CHECK(row.problem.empty());
  CHECK(row.timed());
  CHECK(row.by == "libgraft_user_kernels.so:right_relu");
  CHECK(row.kernel == "user.relu");
  CHECK(row.warm.count == 3);
  CHECK(row.cold.count == 1);
}

TEST_CASE("a user's kernel that is wrong is not timed") {
  CHECK_THAT(row_of("no_tail", kRelu).problem, Contains("wrong, so not timed") && Contains("are wrong"));
  CHECK_THAT(row_of("coarse", kRelu).problem, Contains("wrong, so not timed") && Contains("tolerance"));
  // Right at the size that the reference computes; at the full size graft's own result tells.
  CHECK_THAT(row_of("small_only", "activate n=4 h=40 w=40 c=64 act=relu").problem,
             Contains("wrong, so not timed") && Contains("graft's is"));
  CHECK_FALSE(row_of("no_tail", kRelu).timed());
}

TEST_CASE("a user's kernel that cannot compute a case says so in its row") {
  CHECK_THAT(row_of("right_relu", "activate n=3 h=5 w=7 c=3 act=silu").problem, Contains("answers: unsupported"));
}

TEST_CASE("what is no kernel is refused, with what to do") {
  DeviceEntrant graft(plain_device(), 1);
  const std::string library = GRAFT_USER_KERNELS;
  const auto open = [&](const std::string& name) { UserKernel kernel(name, graft); };
  CHECK_THROWS_WITH(open("relu"), Contains("write LIB.so:SYMBOL"));
  CHECK_THROWS_WITH(open(library + ":"), Contains("write LIB.so:SYMBOL"));
  CHECK_THROWS_WITH(open("nowhere/lib.so:relu"), Contains("cannot open nowhere/lib.so"));
  CHECK_THROWS_WITH(open(library + ":relu_of_mine"),
                    Contains("has no symbol relu_of_mine") && Contains("extern \"C\""));
  CHECK_THROWS_WITH(open(library + ":undeclared"), Contains("write GRAFT_KERNEL(undeclared)"));
  CHECK_THROWS_WITH(open(library + ":of_another_version"), Contains("compiled against another version of graft"));
  const test::TemporaryFolder folder;
  test::write_text(folder / "text.so", "not a library");
  CHECK_THROWS_WITH(open((folder / "text.so").string() + ":relu"), Contains("cannot open"));
}
