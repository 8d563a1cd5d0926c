#include "bench/measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "core/error.h"

namespace graft::bench {

namespace {

constexpr double kShortestRun = 100e-6;
constexpr int64_t kTurns = 4;

// Threads of the one before spin for a moment when their work is done; then the processors are free.
void let_threads_sleep() { std::this_thread::sleep_for(std::chrono::milliseconds(3)); }

class Runner {
 public:
  Runner(Contestant& contestant, const MeasureOptions& options, bool alone)
      : contestant_(contestant), options_(options), alone_(alone) {}

  // Never throws for what the contestant does: its timing says it.
  void warm_up() {
    attempt([&] {
      time(1, 1, false);
      const double once = std::max(time(1, 1, false).front(), 1e-9);
      calls_ = static_cast<int64_t>(std::clamp(kShortestRun / once, 1.0, 1e5));
      const double run = once * static_cast<double>(calls_);
      const double runs = std::clamp(std::ceil(options_.seconds / run), static_cast<double>(options_.fewest_runs),
                                     static_cast<double>(options_.most_runs));
      runs_ = static_cast<int64_t>(runs);
    });
  }
  void warm_turn(int64_t turn) {
    const int64_t samples = runs_ * (turn + 1) / kTurns - runs_ * turn / kTurns;
    attempt([&] { append(warm_, time(samples, calls_, false)); });
  }
  void cold_turn() {
    attempt([&] { append(cold_, time(1, 1, true)); });
  }
  Timing timing() const {
    if (!problem_.empty()) return {.problem = problem_};
    return {.warm = summarise(warm_), .cold = summarise(cold_)};
  }

 private:
  std::vector<double> time(int64_t samples, int64_t calls, bool cold) {
    if (samples == 0) return {};
    if (!alone_) let_threads_sleep();
    return contestant_.time(samples, calls, cold);
  }
  static void append(std::vector<double>& to, const std::vector<double>& more) {
    to.insert(to.end(), more.begin(), more.end());
  }
  template <typename Work>
  void attempt(Work work) {
    if (!problem_.empty()) return;
    try {
      work();
    } catch (const Error& e) {
      problem_ = e.what();
    }
  }

  Contestant& contestant_;
  const MeasureOptions& options_;
  bool alone_;
  int64_t calls_ = 1, runs_ = 1;
  std::vector<double> warm_, cold_;
  std::string problem_;
};

}  // namespace

std::vector<Timing> measure(const std::vector<Contestant*>& contestants, const MeasureOptions& options) {
  std::vector<Runner> runners;
  runners.reserve(contestants.size());
  for (Contestant* contestant : contestants) runners.emplace_back(*contestant, options, contestants.size() == 1);
  for (Runner& runner : runners) runner.warm_up();
  for (int64_t turn = 0; turn < kTurns; ++turn)
    for (Runner& runner : runners) runner.warm_turn(turn);
  for (int64_t run = 0; run < options.cold_runs; ++run)
    for (Runner& runner : runners) runner.cold_turn();
  std::vector<Timing> timings;
  for (const Runner& runner : runners) timings.push_back(runner.timing());
  return timings;
}

}  // namespace graft::bench
