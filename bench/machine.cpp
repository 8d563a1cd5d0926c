#include "bench/machine.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "core/usable_cpus.h"

namespace graft::bench {

Machine read_machine() {
  Machine machine;
  machine.processors = usable_cpus();
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line) && (machine.cpu.empty() || machine.features.empty());) {
    const size_t colon = line.find(": ");
    if (colon == line.npos) continue;
    if (line.starts_with("model name")) machine.cpu = line.substr(colon + 2);
    if (!line.starts_with("flags")) continue;
    static const std::set<std::string> kTelling = {"sse4_1",   "avx",         "avx2",        "fma",
                                                   "avx512f",  "avx512_vnni", "avx512_bf16", "avx512_fp16",
                                                   "amx_bf16", "amx_int8",    "hypervisor"};
    std::istringstream words(line.substr(colon + 2));
    for (std::string word; words >> word;)
      if (kTelling.contains(word)) machine.features += (machine.features.empty() ? "" : " ") + word;
  }
  std::ifstream load("/proc/loadavg");
  load >> machine.load;
  return machine;
}

std::vector<double> read_clocks(const std::string& folder) {
  std::vector<double> clocks;
  std::error_code ignored;
  for (int cpu = 0; std::filesystem::exists(folder + "/cpu" + std::to_string(cpu), ignored); ++cpu) {
    std::ifstream file(folder + "/cpu" + std::to_string(cpu) + "/cpufreq/scaling_cur_freq");  // in kHz
    if (double khz = 0; file >> khz) clocks.push_back(khz / 1e6);
  }
  return clocks;
}

}  // namespace graft::bench
