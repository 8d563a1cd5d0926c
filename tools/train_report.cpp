#include "tools/train_report.h"

#include "tools/output.h"

namespace graft::tools {

TrainReport::TrainReport(const std::filesystem::path& output, const ReportOptions& options,
                         const train::RunState* state)
    : options_(options), log_(log_path(output), state ? static_cast<int64_t>(state->history.size()) : 0) {
  if (!state) return;
  for (const auto* half : {&state->skipped_train, &state->skipped_validation})
    for (const std::string& file : *half) skipped_.add({file, "could not be read"});
}

void TrainReport::start(const Json& event) {
  if (!log_.has_start()) log_.add(event);
  if (!options_.json) return;
  print_json(event);
  flush_output();
}

void TrainReport::event_line(const Json& event) {
  log_.add(event);
  if (!options_.json) return;
  print_json(event);
  flush_output();
}

void TrainReport::epoch(const train::EpochRecord& r, std::optional<double> seconds, bool best) {
  bar_.reset();
  if (seconds)
    event_line({{"event", "epoch"},
                {"epoch", r.epoch},
                {"train_loss", r.train_loss},
                {"train_accuracy", r.train_accuracy},
                {"validation_loss", r.validation_loss},
                {"validation_accuracy", r.validation_accuracy},
                {"learning_rate", r.learning_rate},
                {"seconds", *seconds},
                {"best", best}});
  if (options_.json) return;
  if (!header_) say("epoch  training: loss  accuracy  validation: loss  accuracy  seconds\n");
  header_ = true;
  say("{:>5}  {:>14.4f}  {:>8}  {:>16.4f}  {:>8}  {:>7}{}\n", r.epoch, r.train_loss, as_percent(r.train_accuracy),
      r.validation_loss, as_percent(r.validation_accuracy), seconds ? fmt::format("{:.1f}", *seconds) : "-",
      best ? "  best" : "");
  flush_output();
}

void TrainReport::progress(const train::TrainProgress& p) {
  if (options_.quiet) return;
  const std::string phase = fmt::format("epoch {} of {}, {}", p.epoch, p.epochs, p.phase);
  if (!bar_ || phase != phase_) {
    bar_ = std::make_unique<Progress>(phase, p.of_images, options_.quiet);
    phase_ = phase;
  }
  bar_->at(p.images, fmt::format("loss {:.3f}", p.loss));
}

void TrainReport::skipped(const io::SkippedFile& file) { skipped_.add(file); }

void TrainReport::end(const train::TrainOutcome& o) {
  bar_.reset();
  constexpr const char* kEnds[] = {"finished", "interrupted", "diverged"};
  Json event = {{"event", "end"},
                {"end", kEnds[static_cast<int>(o.end)]},
                {"epochs", o.history.size()},
                {"best_epoch", o.best_epoch}};
  if (o.best_epoch > 0)
    event["best_validation_accuracy"] = o.history[static_cast<size_t>(o.best_epoch - 1)].validation_accuracy;
  if (o.end == train::TrainEnd::diverged) {
    event["diverged_in"] = o.diverged_in == train::DivergedIn::training ? "training" : "validation";
    event["diverged_step"] = o.diverged_step;
  }
  event["skipped"] = skipped_.count();
  event_line(event);
}

}  // namespace graft::tools
