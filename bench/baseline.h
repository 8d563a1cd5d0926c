// Results beside those of an earlier run.
#pragma once
#include <string>

#include "bench/results.h"

namespace graft::bench {

// "same" unless the medians are more than 3 % apart and the middle halves of the runs do not overlap: what a busy
// machine does to a few runs is no verdict.
std::string verdict(const Summary& then, const Summary& now);

// Gives each timed row of `now` its verdict, by name, type and contestant.
void compare_with_baseline(Results& now, const Results& then);

// What makes the two hard to compare: other threads, another device, limits that have moved. "" where nothing does.
std::string differences(const Results& now, const Results& then);

}  // namespace graft::bench
