// What can be read of the machine: for whoever compares two results.
#pragma once
#include <string>
#include <vector>

namespace graft::bench {

struct Machine {
  std::string cpu;       // "Intel(R) Xeon(R) Processor"
  std::string features;  // "avx2 fma avx512f …": those that decide which kernels run
  int processors = 0;
  std::string load;  // of the last minute, as the system counts it: other work makes figures noisy
};
Machine read_machine();

// Clock rates of all processors now, in GHz, from `folder`/cpu*/cpufreq/scaling_cur_freq. Empty: not readable, as in
// most virtual machines.
std::vector<double> read_clocks(const std::string& folder = "/sys/devices/system/cpu");

}  // namespace graft::bench
