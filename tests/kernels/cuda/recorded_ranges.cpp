#include "tests/kernels/cuda/recorded_ranges.h"

#include <utility>

#include "kernels/cuda/ranges.h"

namespace graft {

namespace {

struct Recording {
  bool on = false;
  std::vector<std::string> open, begun;
};
Recording& recording() {
  thread_local Recording value;
  return value;
}

}  // namespace

namespace cuda {

void begin_range(const char* name) {
  Recording& r = recording();
  if (!r.on) return;
  r.open.push_back(r.open.empty() ? name : r.open.back() + " > " + name);
  r.begun.push_back(r.open.back());
}

void end_range() {
  Recording& r = recording();
  if (!r.on) return;
  if (r.open.empty())
    r.begun.emplace_back("an end without a beginning");
  else
    r.open.pop_back();
}

}  // namespace cuda

namespace test {

RecordedRanges::RecordedRanges() { recording() = {.on = true}; }
RecordedRanges::~RecordedRanges() { recording() = {}; }
std::vector<std::string> RecordedRanges::take() { return std::exchange(recording().begun, {}); }
bool RecordedRanges::all_ended() const { return recording().open.empty(); }

}  // namespace test

}  // namespace graft
