// graft predict: what is in a photo.
#include "io/text.h"
#include "tools/class_names.h"
#include "tools/command.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/photos.h"
#include "tools/report.h"
#include "train/metrics.h"

namespace graft::tools {

namespace {

struct PredictOptions {
  std::filesystem::path model;
  std::vector<std::filesystem::path> photos;
  int64_t top = 3, batch = 16;
  DeviceOptions device;
  ReportOptions report;
};

void report_photo(const std::string& file, std::span<const float> logits, const std::vector<std::string>& classes,
                  const PredictOptions& o) {
  const auto probabilities = train::softmax(logits);
  const auto top = train::top_k(logits, o.top);
  if (o.report.json) {
    Json answers = Json::array();
    for (int64_t i : top)
      answers.push_back({{"index", i},
                         {"class", classes.empty() ? Json(nullptr) : Json(classes[static_cast<size_t>(i)])},
                         {"probability", probabilities[static_cast<size_t>(i)]}});
    print_json({{"file", file}, {"top", std::move(answers)}});
    return;
  }
  say("{}\n", file);
  for (int64_t i : top) say("  {:>7}  {}\n", as_percent(probabilities[static_cast<size_t>(i)]), class_name(classes, i));
}

// A photo that cannot be read is a line on stderr and exit code 1 at the end; the others are answered all the same.
int predict(const PredictOptions& o) {
  const train::ModelFile model(o.model);
  const auto photos = io::find_photos(o.photos);
  const size_t classes = static_cast<size_t>(models::classes_of(model.graph()));
  GRAFT_CHECK(classes > 0, "{}: the network has no classes to name; `graft features` writes its values",
              o.model.string());
  SkippedPhotos skipped;
  run_photos({model, photos, o.device, o.batch, {}, "photos", o.report.quiet || !error_is_terminal()}, skipped,
             [&](const io::Batch& batch, std::span<const float> logits, const Shape&) {
               for (size_t i = 0; i < static_cast<size_t>(batch.size); ++i)
                 report_photo(io::printable(photos.samples[static_cast<size_t>(batch.indices[i])].file),
                              logits.subspan(i * classes, classes), model.info().classes, o);
             });
  GRAFT_CHECK(!photos.samples.empty() || skipped.count() > 0, "there is no photo in what was given");
  return skipped.exit_code();
}

}  // namespace

void add_predict(CommandLine& line) {
  auto [app, o] = add_command(line, "predict", "Name what is in a photo",
                              "graft predict pets.h5 photo.jpg\n"
                              "graft predict pets.h5 photos/ --top 5 --json",
                              predict);
  add_model(app, o.model);
  app.add_option("PHOTO", o.photos, "JPEG and PNG files, and folders of them; exit code 1 when one cannot be read")
      ->required();
  add_number(app, "--top", o.top, {1, 1'000'000}, "Answers for each photo");
  add_batch(app, o.batch, "Photos at a time");
  add_device_options(app, o.device);
  add_report_options(app, o.report);
}

}  // namespace graft::tools
