#include "tools/progress.h"

#include <algorithm>
#include <cstdlib>

#include "tools/output.h"
#include "tools/report.h"

namespace graft::tools {

namespace {

std::string bar(double fraction) {
  constexpr int kCells = 24;
  const int full = std::clamp(static_cast<int>(fraction * kCells), 0, kCells);
  return "[" + std::string(static_cast<size_t>(full), '#') + std::string(static_cast<size_t>(kCells - full), '.') + "]";
}

using Clock = std::chrono::steady_clock;

// A bar moves ten times a second, plain lines come every 10 s; a test says otherwise, in seconds.
Clock::duration between_showings(bool terminal) {
  const char* seconds = std::getenv("GRAFT_PROGRESS_SECONDS");
  const double wait = seconds ? std::atof(seconds) : terminal ? .1 : 10;
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(wait));
}

// When something was shown last, by whichever part of the command: many short parts show as much as a long one.
Clock::time_point& last_shown() {
  static Clock::time_point shown = Clock::now();
  return shown;
}

}  // namespace

Progress::Progress(std::string what, int64_t total, bool quiet)
    : what_(std::move(what)), total_(total), quiet_(quiet), terminal_(error_is_terminal()) {
  last_shown();  // the time before the first line counts from here
}

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
  if (now - last_shown() < between_showings(terminal_) && !(terminal_ && done == total_)) return;
  last_shown() = now;

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
