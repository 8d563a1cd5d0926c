// What a run of `graft bench kernels` found, and its JSON.
#pragma once
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "bench/kernel_case.h"
#include "bench/machine.h"
#include "bench/roofline.h"
#include "bench/statistics.h"

namespace graft::bench {

struct Baseline {
  double median = 0;    // then
  std::string verdict;  // "faster", "slower", "same", or "new": it was not there
};

// One case, by one contestant.
struct Row {
  std::string name, layer, by, kernel, dtype;
  Summary warm, cold;  // seconds of a call
  double flops = 0;
  int64_t bytes = 0;
  double clock = 0;     // GHz, the processors' median while it ran; 0: not readable
  std::string problem;  // "" or why it was not timed
  Baseline baseline;

  bool timed() const { return problem.empty() && warm.count > 0; }
};

// What a call costs whatever its size: the same call on one element.
struct Dispatch {
  std::string operation, by;
  Summary warm;
};

struct Results {
  std::string date, version, device, dtype;
  int threads = 0;
  Machine machine;
  Limits limits_at_start, limits_at_end;
  Limits limits() const { return better(limits_at_start, limits_at_end); }
  std::vector<std::string> contestants;  // "libtorch: LibTorch 2.15.0, 2 threads"
  std::vector<Row> rows;
  std::vector<Dispatch> dispatch;
};

nlohmann::ordered_json to_json(const Results& results);

// As to_json wrote it. Throws Error for a file that is not one of ours.
Results read_results(const std::filesystem::path& file);

}  // namespace graft::bench
