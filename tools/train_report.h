// What `graft train` says while it runs: a table by epoch or JSON lines on standard output, the same JSON lines in a
// log beside the model, and a bar.
#pragma once
#include <filesystem>
#include <memory>
#include <optional>

#include "tools/progress.h"
#include "tools/report.h"
#include "tools/train_log.h"
#include "train/trainer.h"

namespace graft::tools {

class TrainReport {
 public:
  // With `state`, of a run that is resumed, the log goes on from where that stands.
  TrainReport(const std::filesystem::path& output, const ReportOptions& options, const train::RunState* state);

  void start(const Json& event);
  void epoch(const train::EpochRecord& record, std::optional<double> seconds,
             bool best);  // in the table only without seconds
  void progress(const train::TrainProgress& p);
  void skipped(const io::SkippedFile& file);
  void end(const train::TrainOutcome& outcome);

 private:
  void event_line(const Json& event);

  ReportOptions options_;
  TrainLog log_;
  SkippedPhotos skipped_;
  std::unique_ptr<Progress> bar_;
  std::string phase_;
  bool header_ = false;
};

}  // namespace graft::tools
