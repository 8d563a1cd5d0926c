// graft bench kernels from outside.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/support/temporary_folder.h"
#include "tests/tools/program.h"

using namespace graft::test;
using Catch::Matchers::Contains;
using Json = nlohmann::json;

namespace {

const std::vector<std::string> kQuick = {"bench",       "kernels", "--seconds", "0", "--runs",   "2",
                                         "--cold-runs", "1",       "--threads", "1", "--device", "cpu"};

Outcome run_quick(std::vector<std::string> more, RunOptions options = {}) {
  more.insert(more.begin(), kQuick.begin(), kQuick.end());
  return run_graft(more, std::move(options));
}

void write(const std::filesystem::path& file, const std::string& text) { std::ofstream(file) << text; }

// What docs/benchmarking.md shows as the file of that name: the fenced block whose first line names it.
std::string example(const std::string& name) {
  const std::string page = read_file(std::filesystem::path(GRAFT_SOURCE_DIR) / "docs/benchmarking.md");
  const size_t begin = page.find("```cpp\n// " + name);
  REQUIRE(begin != page.npos);
  return page.substr(begin + 7, page.find("\n```", begin) - begin - 6);
}

}  // namespace

TEST_CASE("bench kernels writes a table, and JSON that is its own baseline") {
  const TemporaryFolder folder;
  write(folder / "shapes", "conv2d n=1 h=8 w=8 c=8 k=8 window=3 pad=1\nadd n=1 h=8 w=8 c=8\n");
  const std::string shapes = (folder / "shapes").string();
  const auto table = run_quick({"--shapes", shapes});
  CHECK(table.code == 0);
  CHECK_THAT(table.out, Contains("conv2d.weight n=1 h=8") && Contains("limit %") && Contains("limits: ") &&
                            Contains("a call on one element"));

  const auto first = run_quick({"--shapes", shapes, "--json"});
  CHECK(first.code == 0);
  write(folder / "old.json", first.out);
  const Json old = Json::parse(first.out);
  REQUIRE(old["rows"].size() == 4);
  for (const Json& row : old["rows"]) {
    CHECK(row["by"] == "graft");
    CHECK(row["seconds"]["runs"] == 2);
    CHECK(row["cold_seconds"]["runs"] == 1);
    CHECK(row["kernel"].get<std::string>().starts_with("cpu."));
  }
  CHECK(old["limits"]["flops"] > 0);
  CHECK(old["limits_at_end"]["bytes"] > 0);

  const auto second =
      run_quick({"--shapes", shapes, "--json", "--filter", "conv2d", "--baseline", (folder / "old.json").string()});
  CHECK(second.code == 0);
  const Json now = Json::parse(second.out);
  REQUIRE(now["rows"].size() == 3);
  for (const Json& row : now["rows"]) CHECK(row["baseline"]["median"] > 0);
}

TEST_CASE("bench kernels lists its cases, and says what is wrong with what it is given") {
  const TemporaryFolder folder;
  const auto list = run_graft({"bench", "kernels", "--list", "--json", "--filter", "depthwise", "--batch", "3"});
  CHECK(list.code == 0);
  const auto lines = lines_of(list.out);
  CHECK(lines.size() == 9);
  for (const Json& line : lines) CHECK(line["name"].get<std::string>().find(" n=3 ") != std::string::npos);

  const auto refused = [&](std::vector<std::string> arguments, int code, const char* what) {
    const auto run = run_quick(std::move(arguments));
    CHECK(run.code == code);
    CHECK_THAT(run.err, Contains(what));
    CHECK(run.out.empty());
  };
  refused({"--filter", "nothing like it"}, 1, "no case has \"nothing like it\"");
  refused({"--shapes", (folder / "missing").string()}, 1, "cannot open");
  refused({"--shapes", "a", "--network", "b"}, 2, "do not go together");
  refused({"--network", "resnet5"}, 1, "resnet50");
  refused({"--baseline", (folder / "missing").string()}, 1, "cannot open");
  refused({"--dtype", "f8"}, 2, "f8 is not one of f32, bf16");
  refused({"--kernel", "mine"}, 1, "write LIB.so:SYMBOL");
}

TEST_CASE("without a peer bench kernels says how one is made") {
  const TemporaryFolder folder;
  const auto run =
      run_quick({"--peers", "--filter", "scale"}, {.environment = {"XDG_CACHE_HOME=" + folder.path().string()}});
  CHECK(run.code == 1);
  CHECK_THAT(run.err, Contains("no peer is set up") && Contains("bench/libtorch/setup"));
}

TEST_CASE("bench kernels puts peers into the table, and ends with 1 when one is wrong") {
  const auto with = [](const char* manner) {
    return run_quick({"--peers", "--filter", "scale"},
                     {.environment = {"GRAFT_PEER=" GRAFT_FAKE_PEER, std::string("FAKE_PEER=") + manner}});
  };
  const auto right = with("right");
  CHECK(right.code == 0);
  CHECK_THAT(right.out, Contains("x graft") && Contains("fake: a reference that is right"));
  const auto wrong = with("wrong");
  CHECK(wrong.code == 1);
  CHECK_THAT(wrong.out, Contains("wrong, so not timed"));
}

TEST_CASE("the kernel of docs/benchmarking.md compiles as the page says and is timed") {
  const TemporaryFolder folder;
  write(folder / "my_relu.cpp", example("my_relu.cpp"));
  const std::string compile =
      fmt::format("cd '{}' && {} -std=c++20 -O3 -march=native -shared -fPIC {} -I '{}' my_relu.cpp -o my_relu.so",
                  folder.path().string(), GRAFT_CXX, GRAFT_SANITIZE_OPTION, GRAFT_SOURCE_DIR);
  REQUIRE(std::system(compile.c_str()) == 0);
  const auto run = run_quick({"--kernel", "my_relu.so:my_relu", "--filter", "act=relu"}, {.folder = folder.path()});
  INFO(run.err << run.out);
  CHECK(run.code == 0);
  CHECK_THAT(run.out, Contains("my_relu.so:my_relu"));
}
