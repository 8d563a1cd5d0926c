// The roofline (Williams, Waterman & Patterson 2009): a kernel computes its F operations no faster than the machine
// multiplies and adds, and moves its B bytes no faster than memory does. The later of the two is its limit.
#pragma once
#include <algorithm>

namespace graft::bench {

struct Limits {
  double flops = 0;      // multiply-adds, two operations each, a second
  double bandwidth = 0;  // bytes a second
};

// Of two measurements: what is in the way of one makes it smaller, nothing makes it larger.
inline Limits better(const Limits& a, const Limits& b) {
  return {.flops = std::max(a.flops, b.flops), .bandwidth = std::max(a.bandwidth, b.bandwidth)};
}

struct Roofline {
  double seconds = 0;     // no kernel of this work takes less
  bool computes = false;  // bound by multiply-adds, else by memory
  double share(double measured) const { return measured > 0 ? seconds / measured : 0; }
};

// operations / bytes, the arithmetic intensity, against flops / bandwidth, the machine's: the larger decides.
inline Roofline roofline(double operations, double bytes, const Limits& limits) {
  const double compute = limits.flops > 0 ? operations / limits.flops : 0;
  const double memory = limits.bandwidth > 0 ? bytes / limits.bandwidth : 0;
  return {.seconds = std::max(compute, memory), .computes = compute > memory};
}

}  // namespace graft::bench
