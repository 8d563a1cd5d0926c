// graft features: what a layer makes of each photo, as a file for other tools.
#include "io/hdf5/graft_file_writer.h"
#include "io/text.h"
#include "tools/command.h"
#include "tools/labels.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/overwrite.h"
#include "tools/photos.h"
#include "tools/report.h"

namespace graft::tools {

namespace {

struct FeaturesOptions {
  std::filesystem::path model, folder, output;
  std::string layer;
  int64_t batch = 16;
  bool overwrite = false;
  DeviceOptions device;
  ReportOptions report;
};

// Class folders where there are folders, else photos without labels.
io::Dataset read_photos(const std::filesystem::path& folder) {
  check_not_divided(folder);
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (entry.is_directory(ignored) && !entry.path().filename().native().starts_with('.'))
      return io::read_class_folders(folder);
  io::Dataset photos = io::find_photos({folder});
  GRAFT_CHECK(!photos.samples.empty(), "{}: there is no JPEG or PNG photo in it", folder.string());
  return photos;
}

int features(const FeaturesOptions& o) {
  check_replaceable(o.output, {o.model}, o.overwrite);
  const train::ModelFile model(o.model);
  const models::Graph& graph = model.graph();
  const std::string layer =
      o.layer.empty() ? train::feature_layer(graph) : graph.node(models::find_node(graph, o.layer)).name;
  const auto photos = read_photos(o.folder);
  io::GraftFileWriter writer(o.output);  // before the work: a folder that cannot be written to is known at once

  std::vector<float> values;
  std::vector<int64_t> labels, shape;
  std::vector<std::string> files;
  SkippedPhotos skipped;
  run_photos({model, photos, o.device, o.batch, {layer}, "photos", o.report.quiet}, skipped,
             [&](const io::Batch& batch, std::span<const float> batch_values, const Shape& batch_shape) {
               values.insert(values.end(), batch_values.begin(), batch_values.end());
               labels.insert(labels.end(), batch.labels.begin(), batch.labels.end());
               for (int64_t i : batch.indices)
                 files.push_back(io::printable(photos.samples[static_cast<size_t>(i)].file));
               shape.assign(batch_shape.extents, batch_shape.extents + batch_shape.rank);
             });
  GRAFT_CHECK(!files.empty(), "{}: not one photo could be read", o.folder.string());

  shape[0] = static_cast<int64_t>(files.size());
  writer.set_attribute("model", model.graph().name);
  writer.set_attribute("layer", layer);
  writer.add_tensor("", "features", DType::f32, shape, "", std::as_bytes(std::span(values)));
  writer.set_strings("files", files);
  if (!photos.classes.empty()) {
    const int64_t count = shape[0];
    writer.add_tensor("", "labels", DType::i64, {&count, 1}, "", std::as_bytes(std::span(labels)));
    writer.set_strings("class_names", photos.classes);
  }
  writer.commit();

  if (o.report.json)
    print_json({{"file", o.output.string()}, {"layer", layer}, {"shape", shape}, {"skipped", skipped.count()}});
  else
    say("{}: features [{}] of layer {}{}\n", o.output.string(), fmt::join(shape, ", "), layer,
        photos.classes.empty() ? "" : ", labels, files, class_names");
  return skipped.exit_code();
}

}  // namespace

void add_features(CommandLine& line) {
  auto [app, o] = add_command(line, "features", "Write what a layer makes of each photo",
                              "graft features lite0.h5 photos/ -o features.h5\n"
                              "graft features resnet18.h5 photos/ -o early.h5 --layer layer2",
                              features);
  add_model(app, o.model);
  app.add_option("DIR", o.folder,
                 "Photos, or a folder with a folder of photos for each class; exit code 1 when one cannot be read")
      ->required();
  add_output(app, o.output, "The HDF5 file to write: features, labels, files, class_names")
      ->required()
      ->type_name("OUT.h5");
  with_placeholder(app.add_option("--layer", o.layer, "The layer, or module, whose values are written"), "LAYER",
                   "what the classifying layer reads");
  add_batch(app, o.batch, "Photos at a time");
  add_overwrite(app, o.overwrite);
  add_device_options(app, o.device);
  add_report_options(app, o.report);
}

}  // namespace graft::tools
