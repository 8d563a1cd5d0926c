// What many runs of one thing say.
#pragma once
#include <cstdint>
#include <vector>

namespace graft::bench {

// Median and quartiles: half of all runs lie between `lower` and `upper`. A run that something else disturbed moves
// none of them far.
struct Summary {
  double median = 0, lower = 0, upper = 0;
  int64_t count = 0;

  // Half the distance of the quartiles, as a part of the median: "± 2 %".
  double spread() const { return median > 0 ? (upper - lower) / 2 / median : 0; }
};

// Quantiles between two values are interpolated (Hyndman & Fan 1996, definition 7). No values: all zero.
Summary summarise(std::vector<double> values);

}  // namespace graft::bench
