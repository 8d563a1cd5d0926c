// What a profiler would see of the ranges: in the place of kernels/cuda/nvtx_ranges.cpp.
#pragma once
#include <string>
#include <vector>

namespace graft::test {

// While it lives, the ranges that this thread begins: "step", "step > conv1", …, in the order in which they begin.
class RecordedRanges {
 public:
  RecordedRanges();
  ~RecordedRanges();
  RecordedRanges(const RecordedRanges&) = delete;
  RecordedRanges& operator=(const RecordedRanges&) = delete;

  std::vector<std::string> take();
  bool all_ended() const;
};

}  // namespace graft::test
