// Contestants timed in turns, so that whatever else the machine does meets all of them alike.
#pragma once
#include <string>
#include <vector>

#include "bench/contestant.h"
#include "bench/statistics.h"

namespace graft::bench {

struct MeasureOptions {
  double seconds = 0.25;    // of each contestant with warm caches, once it has made its fewest runs
  int64_t fewest_runs = 7;  // shared among the turns
  int64_t most_runs = 2000;
  int64_t cold_runs = 5;
};

struct Timing {
  Summary warm, cold;
  std::string problem;  // it failed while it was timed; the others were timed all the same
};

// Each contestant's runs, A B A B. Short calls are made several in a row, so that a run is long beside the clock's
// grain. The first call of each is not counted.
std::vector<Timing> measure(const std::vector<Contestant*>& contestants, const MeasureOptions& options);

}  // namespace graft::bench
