// Who is timed when, and how often. No time is looked at.
#include "bench/measure.h"

#include <catch2/catch.hpp>

#include "core/error.h"

using namespace graft::bench;

namespace {

// Writes down what it is asked for.
class Recorder final : public Contestant {
 public:
  Recorder(std::string name, std::vector<std::string>& log, double seconds)
      : name_(name), log_(log), seconds_(seconds) {}

  std::string by() const override { return name_; }
  Tensors results() override { return {}; }
  std::vector<double> time(int64_t samples, int64_t calls, bool cold) override {
    log_.push_back(name_ + (cold ? " cold" : " warm"));
    calls_ = calls;
    asked += samples;
    if (asked > fails_after) throw graft::Error("it broke");
    return std::vector<double>(static_cast<size_t>(samples), seconds_);
  }

  int64_t asked = 0, fails_after = INT64_MAX, calls_ = 0;

 private:
  std::string name_;
  std::vector<std::string>& log_;
  double seconds_;
};

}  // namespace

TEST_CASE("contestants are timed in turns, warm and then cold") {
  std::vector<std::string> log;
  Recorder a("a", log, 1), b("b", log, 2);
  const auto timings = measure({&a, &b}, {.seconds = 0, .fewest_runs = 8, .cold_runs = 2});
  REQUIRE(timings.size() == 2);
  CHECK(timings[0].warm.count == 8);
  CHECK(timings[0].warm.median == 1);
  CHECK(timings[1].warm.median == 2);
  CHECK(timings[1].cold.count == 2);
  const std::vector<std::string> warm = {"a warm", "b warm"}, cold = {"a cold", "b cold"};
  std::vector<std::string> expected = {"a warm", "a warm", "b warm", "b warm"};  // first calls, then one that is timed
  for (int turn = 0; turn < 4; ++turn) expected.insert(expected.end(), warm.begin(), warm.end());
  for (int turn = 0; turn < 2; ++turn) expected.insert(expected.end(), cold.begin(), cold.end());
  CHECK(log == expected);
}

TEST_CASE("short calls are made several in a row, and the budget decides how many runs") {
  std::vector<std::string> log;
  Recorder quick("quick", log, 1e-6), slow("slow", log, 0.1);
  measure({&quick}, {.seconds = 0.00095, .fewest_runs = 1, .cold_runs = 0});
  CHECK(quick.calls_ == 100);    // 100 us a run
  CHECK(quick.asked - 2 == 10);  // 0.95 ms of them
  const auto timings = measure({&slow}, {.seconds = 0.5, .fewest_runs = 1, .cold_runs = 0});
  CHECK(slow.calls_ == 1);
  CHECK(timings[0].warm.count == 5);
}

TEST_CASE("one that breaks is out, and the other is timed all the same") {
  std::vector<std::string> log;
  Recorder a("a", log, 1), b("b", log, 1);
  a.fails_after = 5;
  const auto timings = measure({&a, &b}, {.seconds = 0, .fewest_runs = 8, .cold_runs = 3});
  CHECK(timings[0].problem == "it broke");
  CHECK(timings[0].warm.count == 0);
  CHECK(timings[1].problem.empty());
  CHECK(timings[1].warm.count == 8);
  CHECK(timings[1].cold.count == 3);
}
