// How many threads are worth starting: what the process may use, not what the machine has.
#pragma once
#include <cstdint>
#include <string_view>

namespace graft {

// The smaller of the processors that the process may run on and what its cgroup's quota allows (cgroup v2, on Linux).
int usable_cpus();

// A cpu.max file, "QUOTA PERIOD" in microseconds, as whole processors, rounded up. 0: no limit, or not such a file.
int64_t cpus_of_quota(std::string_view cpu_max);

}  // namespace graft
