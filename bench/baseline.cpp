#include "bench/baseline.h"

#include <cmath>

#include "core/error.h"

namespace graft::bench {

std::string verdict(const Summary& then, const Summary& now) {
  constexpr double kTelling = 1.03;
  if (now.median > then.median * kTelling && now.lower > then.upper) return "slower";
  if (then.median > now.median * kTelling && then.lower > now.upper) return "faster";
  return "same";
}

void compare_with_baseline(Results& now, const Results& then) {
  for (Row& row : now.rows) {
    if (!row.timed()) continue;
    row.baseline = {.verdict = "new"};
    for (const Row& old : then.rows)
      if (old.timed() && old.name == row.name && old.by == row.by && old.dtype == row.dtype)
        row.baseline = {.median = old.warm.median, .verdict = verdict(old.warm, row.warm)};
  }
}

std::string differences(const Results& now, const Results& then) {
  std::string text;
  if (now.device != then.device) text += fmt::format("; it ran on {}, this on {}", then.device, now.device);
  if (now.threads != then.threads) text += fmt::format("; it had {} threads, this has {}", then.threads, now.threads);
  const auto moved = [&](double was, double is, const char* what) {
    if (was > 0 && std::abs(is / was - 1) > 0.1)
      text += fmt::format("; {} measured {:.0f} % of what it did then", what, 100 * is / was);
  };
  moved(then.limits().flops, now.limits().flops, "multiply-adds");
  moved(then.limits().bandwidth, now.limits().bandwidth, "bandwidth");
  return text.empty() ? "" : text.substr(2);
}

}  // namespace graft::bench
