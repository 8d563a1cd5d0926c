// The log beside a model that is trained: a JSON line for each event, flushed at once.
#pragma once
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "tools/report.h"

namespace graft::tools {

// pets.h5 → pets.log.jsonl
std::filesystem::path log_path(const std::filesystem::path& output);

class TrainLog {
 public:
  // With `resumed_epochs` it goes on: the start and these epochs stay, what was written after the checkpoint goes, so
  // that a run that was killed and resumed leaves the lines of one that was not. 0: what is there is replaced; it may
  // be the log of an earlier run.
  TrainLog(const std::filesystem::path& path, int64_t resumed_epochs);
  void add(const Json& event);
  bool has_start() const { return has_start_; }  // from before

 private:
  std::filesystem::path path_;
  bool has_start_ = false;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{nullptr, std::fclose};
};

}  // namespace graft::tools
