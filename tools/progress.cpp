#include "tools/progress.h"

#include <algorithm>

#include "tools/output.h"
#include "tools/report.h"

namespace graft::tools {

namespace {

std::string bar(double fraction) {
  constexpr int kCells = 24;
  const int full = std::clamp(static_cast<int>(fraction * kCells), 0, kCells);
  return "[" + std::string(static_cast<size_t>(full), '#') + std::string(static_cast<size_t>(kCells - full), '.') + "]";
}

}  // namespace

Progress::Progress(std::string what, int64_t total, bool quiet)
    : what_(std::move(what)), total_(total), quiet_(quiet), terminal_(error_is_terminal()) {}

Progress::~Progress() {
  if (!quiet_ && terminal_) set_status_line("");
}

void Progress::at(int64_t done, std::string_view more) {
  if (quiet_) return;
  if (first_ < 0) {  // the first one pays for what everything needs: the rate counts from there
    first_ = done;
    start_ = Clock::now();
  }
  const auto now = Clock::now();
  if (now - shown_ < (terminal_ ? kRedraw : kLine) && !(terminal_ && done == total_)) return;
  shown_ = now;

  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = seconds > 0 ? static_cast<double>(done - first_) / seconds : 0;
  std::string text = fmt::format("{} {}", what_, with_commas(done));
  if (total_ > 0) {
    text += " of " + with_commas(total_);
    if (terminal_) text = fmt::format("{} {}", bar(static_cast<double>(done) / static_cast<double>(total_)), text);
  }
  if (rate > 0) text += fmt::format(", {:.{}f}/s", rate, rate < 10 ? 1 : 0);
  if (rate > 0 && total_ > done)
    text += fmt::format(", {} left", as_duration(static_cast<double>(total_ - done) / rate));
  if (!more.empty()) text += fmt::format(", {}", more);
  if (terminal_)
    set_status_line(text);
  else
    note("{}", text);
}

}  // namespace graft::tools
