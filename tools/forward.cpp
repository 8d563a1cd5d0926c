// graft forward: a network on numbers instead of photos.
#include "tools/backend.h"
#include "tools/command.h"
#include "tools/images_npy.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/overwrite.h"
#include "tools/progress.h"
#include "tools/report.h"
#include "train/predictor.h"

namespace graft::tools {

namespace {

struct ForwardOptions {
  std::filesystem::path model, input, output;
  std::string layer;
  Layout layout = Layout::nhwc;
  int64_t batch = 16;
  bool overwrite = false;
  DeviceOptions device;
  ReportOptions report;
};

int forward(const ForwardOptions& o) {
  check_replaceable(o.output, {o.model, o.input}, o.overwrite);
  const train::ModelFile model(o.model);
  const ImageArray images(o.input, o.layout, model.graph().input().channels);
  const Shape& in = images.shape();
  const int64_t batch = std::min(o.batch, in[0]);
  train::PredictorOptions options{.batch = batch, .height = in[1], .width = in[2], .layers = {}};
  if (!o.layer.empty()) options.layers = {o.layer};
  const train::Predictor predictor(model, open_device_noted(o.device), options);

  const Shape out = predictor.output_shape(0, in[0]);
  const bool swapped = o.layout == Layout::nchw && out.rank == 4;
  std::vector<int64_t> extents(out.extents, out.extents + out.rank);
  if (swapped) extents = {out[0], out[3], out[1], out[2]};
  io::NpyWriter writer(o.output, DType::f32, extents);
  Progress progress("images", in[0], o.report.quiet);
  for (int64_t first = 0; first < in[0]; first += batch) {
    const int64_t count = std::min(batch, in[0] - first);
    auto values = std::move(predictor.run(images.read(first, count).data(), count)[0]);
    if (swapped) values = to_nchw(values, count, out[1], out[2], out[3]);
    writer.append(std::span<const float>(values));
    progress.at(first + count);
  }
  writer.commit();
  if (o.report.json)
    print_json({{"file", o.output.string()}, {"shape", extents}});
  else
    say("{}: [{}]\n", o.output.string(), fmt::join(extents, ", "));
  return kDone;
}

}  // namespace

void add_forward(CommandLine& line) {
  auto [app, o] = add_command(line, "forward", "Run a network on an array of images, as they are",
                              "graft forward resnet18.h5 images.npy -o logits.npy\n"
                              "graft forward resnet18.h5 images.npy -o values.npy --layer layer3",
                              forward);
  add_model(app, o.model);
  app.add_option("IN.npy", o.input, "A .npy file: float32 [N, H, W, C], preprocessed")->required();
  add_output(app, o.output, "The .npy file to write: logits [N, classes], or the layer's values")
      ->required()
      ->type_name("OUT.npy");
  with_placeholder(app.add_option("--layer", o.layer, "The layer, or module, whose values are written"), "LAYER",
                   "the network's answer");
  add_choice<Layout>(app, "--layout", o.layout, {{"nhwc", Layout::nhwc}, {"nchw", Layout::nchw}},
                     "Order of axes in both files");
  add_batch(app, o.batch, "Images at a time");
  add_overwrite(app, o.overwrite);
  add_device_options(app, o.device);
  add_report_options(app, o.report);
}

}  // namespace graft::tools
