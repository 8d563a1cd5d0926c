// How far a long command is: a bar with rate and time left on a terminal, a plain line now and then in a pipe, nothing
// when it was asked to be quiet. On standard error.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace graft::tools {

class Progress {
 public:
  // `total` 0: not known.
  Progress(std::string what, int64_t total, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` of the total; `more` stands behind ("loss 0.31").
  void at(int64_t done, std::string_view more = {});

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  int64_t total_, first_ = -1;
  bool quiet_, terminal_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace graft::tools
