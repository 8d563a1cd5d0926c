#include "tools/train_log.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "core/error.h"
#include "io/staged_file.h"

namespace graft::tools {

namespace {

struct Kept {
  std::string text;
  bool start = false;
};

// The lines of a log that a checkpoint after `epochs` epochs covers. One that was cut short is no JSON and goes.
Kept covered_lines(const std::filesystem::path& path, int64_t epochs) {
  Kept kept;
  std::ifstream in(path, std::ios::binary);
  for (std::string line; std::getline(in, line);) {
    const Json event = Json::parse(line, nullptr, false);
    if (!event.is_object() || !event.contains("event")) continue;
    const bool start = event["event"] == "start" && !kept.start;
    const bool epoch = event["event"] == "epoch" && event.contains("epoch") && event["epoch"] <= epochs;
    if (!start && !epoch) continue;
    kept.start = kept.start || start;
    kept.text += line + "\n";
  }
  return kept;
}

}  // namespace

std::filesystem::path log_path(const std::filesystem::path& output) {
  auto path = output;
  return path.replace_extension(".log.jsonl");
}

TrainLog::TrainLog(const std::filesystem::path& path, int64_t resumed_epochs) : path_(path) {
  if (resumed_epochs > 0) {
    const Kept kept = covered_lines(path, resumed_epochs);
    has_start_ = kept.start;
    io::StagedFile file(path);
    file.write(std::as_bytes(std::span(kept.text)));
    file.commit();
  }
  file_.reset(std::fopen(path.c_str(), resumed_epochs > 0 ? "ae" : "we"));
  GRAFT_CHECK(file_, "cannot write the log {}: {}", path.string(), std::strerror(errno));
}

void TrainLog::add(const Json& event) {
  const std::string line = event.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  const bool ok = std::fwrite(line.data(), 1, line.size(), file_.get()) == line.size() && std::fflush(file_.get()) == 0;
  GRAFT_CHECK(ok, "cannot write the log {}: {}", path_.string(), std::strerror(errno));
}

}  // namespace graft::tools
