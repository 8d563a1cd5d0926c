// A run that was stopped, however it was stopped, goes on to the same bytes.
#include <signal.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "tests/support/commit_seed.h"
#include "tests/support/temporary_folder.h"
#include "tests/tools/fixtures.h"
#include "tests/tools/program.h"

using namespace graft::test;
using Catch::Matchers::Contains;
using std::chrono::milliseconds;

namespace {

// Everything that has state is in play: dropout, stochastic depth, moments of the optimiser, running statistics, random
// crops, an order of the photos, a last batch that is not full.
std::vector<std::string> arguments(std::vector<std::string> more = {}) {
  std::vector<std::string> all = {"train",
                                  "squares",
                                  "--from",
                                  "tiny.h5",
                                  "-o",
                                  "out.h5",
                                  "--train",
                                  "*",
                                  "--epochs",
                                  "6",
                                  "--batch",
                                  "5",
                                  "--checkpoint-seconds",
                                  "0"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

struct Files {
  std::string model, checkpoint;
  std::vector<nlohmann::json> log;  // without times, and the memory that --threads needs
  friend bool operator==(const Files&, const Files&) = default;
};

class Bench {
 public:
  Bench() {
    make_squares(folder_ / "squares", 9);
    write_text(folder_ / "squares/red/3.png", read_file(folder_ / "squares/red/3.png").substr(0, 100));  // unreadable
    write_tiny_model(folder_ / "tiny.h5", {"x", "y"});
  }
  RunOptions here() const { return {.folder = folder_.path()}; }
  const std::filesystem::path& folder() const { return folder_.path(); }
  Files files() const {
    auto log = lines_of(read_file(folder_ / "out.log.jsonl"));
    for (auto& line : log)
      for (const char* of_this_process : {"seconds", "step_arena_bytes"}) line.erase(of_this_process);
    return {read_file(folder_ / "out.h5"), read_file(folder_ / "out.last.h5"), std::move(log)};
  }
  void clear() const {
    for (const char* name : {"out.h5", "out.last.h5", "out.log.jsonl"}) std::filesystem::remove(folder_ / name);
  }
  Files uninterrupted(std::vector<std::string> more = {}) const {
    clear();
    const auto run = run_graft(arguments(std::move(more)), here());
    INFO(run.err);
    REQUIRE(run.code == 0);
    CHECK(files().log.size() == 8);  // start, six epochs, end
    CHECK(files().log.back()["skipped"] == 1);
    return files();
  }
  std::set<std::string> stages() const {  // files of half-done saves
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      if (const std::string name = entry.path().filename(); name.find(".tmp-") != name.npos) names.insert(name);
    return names;
  }

 private:
  TemporaryFolder folder_;
};

void wait_for_first_epoch(const Bench& bench, Program& program) {
  while (program.running() && !std::filesystem::exists(bench.folder() / "out.h5"))
    std::this_thread::sleep_for(milliseconds(1));
}

// The run with the default time between two checkpoints, longer than all of it.
std::vector<std::string> rarely_saved(std::vector<std::string> more = {}) {
  auto all = arguments();
  all.resize(all.size() - 2);
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// Kills a run with these arguments once it has written `file`, replacing what was there. False: it ended before that.
bool killed_once_written(const std::string& file, const std::vector<std::string>& arguments, const Bench& bench) {
  const auto written = [&] {
    std::error_code none;
    return std::filesystem::last_write_time(bench.folder() / file, none);
  };
  const auto before = written();
  Program program(arguments, bench.here());
  while (program.running() && (written() == before || !std::filesystem::exists(bench.folder() / file)))
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  program.signal(SIGKILL);
  return program.wait().code == 128 + SIGKILL;
}

// Kills a run again and again, in turns at a moment drawn from `seed` and within a save, and lets the last one finish.
// A run that came to its end before the signal did is compared, and another is begun.
void kill_and_resume(int kills, uint64_t seed) {
  const Bench bench;
  const auto start = std::chrono::steady_clock::now();
  const Files expected = bench.uninterrupted();
  const auto lasts = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
  bench.clear();
  std::mt19937_64 random(seed);
  int killed = 0, within_a_save = 0;
  for (int i = 0; i < 20 * kills && (killed < kills || within_a_save == 0); ++i) {
    const auto before = bench.stages();
    const auto saving = [&] {
      const auto now = bench.stages();
      return std::any_of(now.begin(), now.end(), [&](const std::string& name) { return !before.contains(name); });
    };
    Program program(arguments({"--resume"}), bench.here());
    if (i % 2 == 1) {
      while (!saving() && program.running()) std::this_thread::sleep_for(std::chrono::microseconds(100));
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % lasts.count()));
    }
    program.signal(SIGKILL);
    if (program.wait().code == 128 + SIGKILL) {
      ++killed;
      within_a_save += !bench.stages().empty();  // the stage of a save that did not end
    } else {
      CHECK((bench.files() == expected));
      bench.clear();
    }
  }
  CHECK(killed >= kills);
  CHECK(within_a_save > 0);
  const auto last = run_graft(arguments({"--resume"}), bench.here());
  INFO(last.err);
  REQUIRE(last.code == 0);
  CHECK((bench.files() == expected));
  CHECK(bench.stages().empty());
}

}  // namespace

TEST_CASE("the same seed twice, threads of any number: the same bytes") {
  const Bench bench;
  const Files expected = bench.uninterrupted();
  CHECK((bench.uninterrupted() == expected));
  CHECK((bench.uninterrupted({"--loader-threads", "1"}) == expected));
  CHECK((bench.uninterrupted({"--loader-threads", "4"}) == expected));
  CHECK((bench.uninterrupted({"--threads", "1"}) == expected));
  CHECK((bench.uninterrupted({"--threads", "3"}) == expected));
  CHECK_FALSE((bench.uninterrupted({"--seed", "4"}) == expected));
}

TEST_CASE("Ctrl-C ends the step, saves, says how to go on, then the bytes are those of an undisturbed run") {
  const Bench bench;
  const Files expected = bench.uninterrupted();
  for (const int signal : {SIGINT, SIGTERM}) {
    bench.clear();
    Program program(arguments(), bench.here());
    wait_for_first_epoch(bench, program);
    program.signal(signal);
    const auto run = program.wait();
    REQUIRE(run.code == 130);
    CHECK_THAT(run.err, Contains("interrupted: saved out.last.h5") &&
                            Contains("go on with: graft train squares --from tiny.h5 -o out.h5 --train '*'") &&
                            Contains("--resume"));
    CHECK_FALSE((bench.files() == expected));
    // what a run that is killed between its log and its checkpoint leaves: an epoch too many, a line cut short
    std::ofstream(bench.folder() / "out.log.jsonl", std::ios::app) << R"({"event":"epoch","epoch":6})"
                                                                   << "\n{\"event\":\"epo";
    const auto resumed = run_graft(arguments({"--resume"}), bench.here());
    INFO(resumed.err);
    REQUIRE(resumed.code == 0);
    CHECK((bench.files() == expected));
  }
  // nothing is left to do: nothing changes, but for the line that a kill after the last checkpoint leaves out
  const std::string log = read_file(bench.folder() / "out.log.jsonl");
  write_text(bench.folder() / "out.log.jsonl", log.substr(0, log.rfind("{\"event\":\"end\"")));
  const auto again = run_graft(arguments({"--resume"}), bench.here());
  CHECK(again.code == 0);
  CHECK_THAT(again.out, Contains("out.h5 was finished already, 6 epochs") &&
                            Contains("graft train squares --from out.h5") && !Contains("written"));
  CHECK((bench.files() == expected));
}

TEST_CASE("an unfinished run is not begun again unless it is said") {
  const Bench bench;
  {
    Program program(arguments(), bench.here());
    wait_for_first_epoch(bench, program);
    program.signal(SIGINT);
    REQUIRE(program.wait().code == 130);
  }
  const std::string checkpoint = read_file(bench.folder() / "out.last.h5");
  const auto again = run_graft(arguments(), bench.here());
  CHECK(again.code == 1);
  CHECK_THAT(again.err, Contains("out.last.h5 is there from a run that is not finished") && Contains("of 6 epochs") &&
                            Contains("--resume goes on") && Contains("--overwrite"));
  CHECK(read_file(bench.folder() / "out.last.h5") == checkpoint);
  write_text(bench.folder() / "out.last.h5", checkpoint.substr(0, checkpoint.size() / 2));
  CHECK_THAT(run_graft(arguments(), bench.here()).err,
             Contains("out.last.h5 is there and cannot be read") && Contains("--overwrite") && !Contains("--resume"));
  CHECK(run_graft(arguments({"--overwrite"}), bench.here()).code == 0);
}

TEST_CASE("a run killed at 20 moments, some within a save, and resumed: the same bytes") {
  kill_and_resume(20, commit_seed());
}

TEST_CASE("killed before a checkpoint is due and resumed: the same bytes, also in the place of an earlier run") {
  const Bench bench;
  const Files expected = bench.uninterrupted();
  const auto resumes_to_the_same = [&] {
    const auto run = run_graft(rarely_saved({"--resume"}), bench.here());
    INFO(run.err);
    CHECK(run.code == 0);
    CHECK_THAT(run.out, !Contains("finished already"));
    CHECK((bench.files() == expected));
  };
  for (const char* file : {"out.last.h5", "out.log.jsonl", "out.h5"}) {
    INFO(file);
    const auto kill = [&](const std::vector<std::string>& arguments, const std::function<void()>& prepare) {
      for (int attempts = 0; attempts < 20; ++attempts) {
        prepare();
        if (killed_once_written(file, arguments, bench)) return;
      }
      FAIL("each run came to its end");
    };
    kill(rarely_saved(), [&] { bench.clear(); });
    resumes_to_the_same();
    kill(rarely_saved({"--overwrite"}), [&] {
      bench.uninterrupted();
      write_text(bench.folder() / "out.log.jsonl", R"({"event":"start","output":"an earlier run's"})"
                                                   "\n");
    });
    resumes_to_the_same();
  }
}

TEST_CASE("resuming with other settings, photos or weights is refused, what is there stays") {
  const Bench bench;
  const Files before = bench.uninterrupted();
  const auto refused = [&](const std::vector<std::string>& more, const char* why) {
    const auto run = run_graft(arguments(more), bench.here());
    CHECK(run.code == 1);
    CHECK_THAT(run.err, Contains("other settings") && Contains(why) && Contains("--overwrite in place of --resume"));
    CHECK((bench.files() == before));
  };
  refused({"--resume", "--lr", "0.5"}, "learning_rate: 0.0001 there, 0.5 here");
  write_png(bench.folder() / "squares/red/new.png", 32, {200, 20, 30}, 5);
  refused({"--resume"}, "dataset");
  std::filesystem::remove(bench.folder() / "squares/red/new.png");
  const auto start_anew = [&](uint64_t seed, const std::function<void(graft::train::ModelInfo&)>& edit = {}) {
    write_tiny_model(bench.folder() / "tiny.h5", {"x", "y"}, seed, edit);
  };
  start_anew(2);
  refused({"--resume"}, "trunk");
  // the same weights
  start_anew(1, [](graft::train::ModelInfo& info) { info.preprocessing.mean[1] += 0.01f; });
  refused({"--resume"}, "trunk");
  start_anew(1, [](graft::train::ModelInfo& info) {
    for (graft::models::Node& node : info.graph.nodes)
      if (auto* dropout = std::get_if<graft::models::Dropout>(&node.op)) dropout->probability = 0.3;
  });
  refused({"--resume"}, "trunk");
  start_anew(1);
  CHECK(run_graft(arguments({"--resume"}), bench.here()).code == 0);
}

TEST_CASE("a damaged checkpoint is refused") {
  const Bench bench;
  bench.uninterrupted();
  std::string bytes = read_file(bench.folder() / "out.last.h5");
  for (size_t i = 0; i < 64; ++i) {  // one of them is no padding
    char& byte = bytes[bytes.size() / 2 + i];
    byte = static_cast<char>(byte ^ 0x10);
  }
  write_text(bench.folder() / "out.last.h5", bytes);
  const auto run = run_graft(arguments({"--resume"}), bench.here());
  CHECK(run.code == 1);
  CHECK_THAT(run.err, Contains("out.last.h5"));
}
