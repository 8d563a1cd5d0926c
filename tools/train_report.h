// What `graft train` says while it runs: a table by epoch or JSON lines on standard output, the same JSON lines in a
// log beside the model, and a bar.
#pragma once
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "tools/progress.h"
#include "tools/report.h"
#include "train/trainer.h"

namespace graft::tools {

// pets.h5 → pets.log.jsonl
std::filesystem::path log_path(const std::filesystem::path& output);

// A line for each event, flushed at once; one that begins anew replaces what was there.
class TrainLog {
 public:
  TrainLog(const std::filesystem::path& path, bool append);
  void add(const Json& event);

 private:
  std::filesystem::path path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

class TrainReport {
 public:
  TrainReport(const std::filesystem::path& output, const ReportOptions& options, bool resumed);

  void start(const Json& event) { event_line(event); }
  void epoch(const train::EpochRecord& record, std::optional<double> seconds,
             bool best);  // in the table only without seconds
  void progress(const train::TrainProgress& p);
  void skipped(const io::SkippedFile& file);
  void end(const train::TrainOutcome& outcome);
  int64_t skipped_count() const { return skipped_.count(); }

 private:
  void event_line(const Json& event);

  ReportOptions options_;
  TrainLog log_;
  SkippedPhotos skipped_;
  std::vector<std::string> seen_;  // skipped files, each reported once, not in every epoch
  std::unique_ptr<Progress> bar_;
  std::string phase_;
  bool header_ = false;
};

}  // namespace graft::tools
