// graft evaluate: how often a model is right on photos whose classes are known.
#include <cmath>

#include "tools/class_names.h"
#include "tools/command.h"
#include "tools/labels.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/photos.h"
#include "tools/report.h"
#include "train/metrics.h"

namespace graft::tools {

namespace {

struct EvaluateOptions {
  std::filesystem::path model, folder;
  int64_t batch = 16;
  DeviceOptions device;
  ReportOptions report;
};

// The classes that have photos here, or that some photo was taken for.
std::vector<int64_t> classes_seen(const train::Metrics& m) {
  std::vector<int64_t> seen;
  for (int64_t c = 0; c < m.classes(); ++c) {
    bool any = false;
    for (int64_t other = 0; other < m.classes() && !any; ++other)
      any = m.confusion(c, other) + m.confusion(other, c) > 0;
    if (any) seen.push_back(c);
  }
  return seen;
}

int64_t images_of(const train::Metrics& m, int64_t truth) {
  int64_t images = 0;
  for (int64_t predicted = 0; predicted < m.classes(); ++predicted) images += m.confusion(truth, predicted);
  return images;
}

void report_json(const train::Metrics& m, const std::vector<std::string>& names) {
  const auto recall = m.recall();
  Json per_class = Json::array(), confusion = Json::array();
  for (int64_t truth = 0; truth < m.classes(); ++truth) {
    const int64_t images = images_of(m, truth);
    per_class.push_back({{"class", class_name(names, truth)},
                         {"images", images},
                         {"top1", images ? Json(recall[static_cast<size_t>(truth)]) : Json(nullptr)}});
    Json row = Json::array();
    for (int64_t predicted = 0; predicted < m.classes(); ++predicted) row.push_back(m.confusion(truth, predicted));
    confusion.push_back(std::move(row));
  }
  print_json({{"images", m.images()},
              {"top1", m.top1()},
              {"top5", m.top5()},
              {"loss", m.loss()},
              {"per_class", std::move(per_class)},
              {"confusion", std::move(confusion)}});
}

void report_plain(const train::Metrics& m, const std::vector<std::string>& names) {
  // of five classes or fewer, five answers are always right
  const std::string top5 = m.classes() > 5 ? fmt::format(", top-5 {}", as_percent(m.top5())) : "";
  say("{} of {} right: top-1 {}{}, loss {:.4f}\n\n",
      with_commas(std::llround(m.top1() * static_cast<double>(m.images()))), counted(m.images(), "photo"),
      as_percent(m.top1()), top5, m.loss());
  const auto seen = classes_seen(m);
  const auto recall = m.recall();
  Table per_class({"class", "photos", "right", "rate"});
  for (int64_t c : seen)
    if (const int64_t images = images_of(m, c); images > 0)
      per_class.add({class_name(names, c), with_commas(images), with_commas(m.confusion(c, c)),
                     as_percent(recall[static_cast<size_t>(c)])});
  write_output(per_class.text());

  constexpr size_t kWidest = 20;  // columns that a terminal still shows
  if (seen.size() > kWidest) return;
  std::vector<std::string> header = {"\nis \\ taken for"};
  for (int64_t c : seen) header.push_back(class_name(names, c));
  Table confusion(header);
  for (int64_t truth : seen) {
    std::vector<std::string> row = {class_name(names, truth)};
    for (int64_t predicted : seen) row.push_back(std::to_string(m.confusion(truth, predicted)));
    confusion.add(std::move(row));
  }
  write_output(confusion.text());
}

int evaluate(const EvaluateOptions& o) {
  const train::ModelFile model(o.model);
  const auto photos = read_labelled(o.folder, model);
  train::Metrics metrics(models::classes_of(model.graph()));
  SkippedPhotos skipped;
  run_photos({model, photos, o.device, o.batch, {}, "photos", o.report.quiet}, skipped,
             [&](const io::Batch& batch, std::span<const float> logits, const Shape&) {
               metrics.add(logits, batch.labels, train::mean_cross_entropy(logits, batch.labels));
             });
  GRAFT_CHECK(metrics.images() > 0, "{}: not one photo could be read", o.folder.string());
  if (o.report.json)
    report_json(metrics, model.info().classes.empty() ? photos.classes : model.info().classes);
  else
    report_plain(metrics, model.info().classes.empty() ? photos.classes : model.info().classes);
  return skipped.exit_code();
}

}  // namespace

void add_evaluate(CommandLine& line) {
  auto [app, o] = add_command(line, "evaluate", "Measure how often a model is right",
                              "graft evaluate pets.h5 pets/val\n"
                              "graft evaluate pets.h5 pets/val --json    top5 is 1 for 5 classes or fewer",
                              evaluate);
  add_model(app, o.model);
  app.add_option("DIR", o.folder,
                 "A folder with a folder of photos for each class; exit code 1 when one cannot be read")
      ->required();
  add_batch(app, o.batch, "Photos at a time");
  add_device_options(app, o.device);
  add_report_options(app, o.report);
}

}  // namespace graft::tools
