#include "core/usable_cpus.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace graft {

namespace {

std::string first_line(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

// The tightest quota of the process's group and all groups around it; 0: none.
int64_t quota() {
  // A process of version 2 has one line here: "0::/user.slice/…". Inside a container the path is "/".
  const std::string line = first_line("/proc/self/cgroup");
  if (!line.starts_with("0::/")) return 0;
  const std::filesystem::path root = "/sys/fs/cgroup";
  int64_t least = 0;
  for (auto group = (root / line.substr(4)).lexically_normal();; group = group.parent_path()) {
    if (const int64_t cpus = cpus_of_quota(first_line(group / "cpu.max")); cpus > 0)
      least = least == 0 ? cpus : std::min(least, cpus);
    if (group == root || !group.has_relative_path()) return least;
  }
}

}  // namespace

int64_t cpus_of_quota(std::string_view cpu_max) {
  while (!cpu_max.empty() && cpu_max.back() == '\n') cpu_max.remove_suffix(1);
  const size_t blank = cpu_max.find(' ');
  if (blank == cpu_max.npos) return 0;
  const auto number = [](std::string_view text) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() ? value : 0;  // "max" is no number
  };
  const int64_t microseconds = number(cpu_max.substr(0, blank)), period = number(cpu_max.substr(blank + 1));
  if (microseconds <= 0 || period <= 0) return 0;
  return (microseconds - 1) / period + 1;
}

int usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const auto all =
      static_cast<int64_t>(sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set))
                                                                       : std::thread::hardware_concurrency());
  const int64_t allowed = quota();
  return static_cast<int>(std::max<int64_t>(1, allowed > 0 ? std::min(all, allowed) : all));
}

}  // namespace graft
