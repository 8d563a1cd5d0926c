// graft gradients: the loss of a batch and what it says to every parameter, for comparison with other frameworks.
#include "core/ops.h"
#include "core/tape.h"
#include "io/hdf5/graft_file_writer.h"
#include "models/freeze.h"
#include "models/network.h"
#include "tools/backend.h"
#include "tools/command.h"
#include "tools/images_npy.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/overwrite.h"
#include "tools/report.h"
#include "train/model_file.h"

namespace graft::tools {

namespace {

struct GradientsOptions {
  std::filesystem::path model, input, labels, output;
  Layout layout = Layout::nhwc;
  models::FreezePatterns patterns;
  bool training = false;
  bool overwrite = false;
  DeviceOptions device;
  ReportOptions report;
};

std::vector<int64_t> read_labels(const std::filesystem::path& path, int64_t images, int64_t classes) {
  const io::NpyFile file(path);
  GRAFT_CHECK(file.shape() == std::vector<int64_t>{images}, "{} has shape [{}]; {} need labels [{}]", file.name(),
              fmt::join(file.shape(), ", "), counted(images, "image"), images);
  std::vector<int64_t> labels(static_cast<size_t>(images));
  file.read(0, std::span(labels));
  for (size_t i = 0; i < labels.size(); ++i)
    GRAFT_CHECK(labels[i] >= 0 && labels[i] < classes,
                "{}: label {} of image {} is out of range; the model has {} classes (0 to {})", file.name(), labels[i],
                i, classes, classes - 1);
  return labels;
}

int gradients(const GradientsOptions& o) {
  check_replaceable(o.output, {o.model, o.input, o.labels}, o.overwrite);
  const train::ModelFile model(o.model);
  const auto graph = models::without_chance(model.graph());
  const auto freeze = models::plan_freeze(graph, o.patterns);
  const ImageArray images(o.input, o.layout, graph.input().channels);
  const int64_t count = images.shape()[0];
  const auto labels = read_labels(o.labels, count, models::classes_of(graph));
  io::GraftFileWriter writer(o.output);

  const auto device = open_device_noted(o.device);
  models::Network network(graph, device);
  for (const auto& entry : network.entries()) network.set(entry.info.name, model.read_all(entry.info.name));
  network.require_gradients(freeze);

  std::vector<bool> training(freeze.frozen.size());
  for (size_t i = 0; i < training.size(); ++i) training[i] = o.training && !freeze.frozen[i];
  const Tensor input = from_values(device, images.shape(), images.read(0, count));
  const auto walked = network.walk(
      {.training = training, .random_state = {}, .given = {{0, input}}, .wanted = {graph.outputs[0].node}});
  const Tensor loss = ops::cross_entropy(walked.values[0], from_values(device, {count}, labels), {}, 0);

  std::vector<const models::Network::Entry*> trained;
  std::vector<Tensor> wrt;
  for (const auto& entry : network.entries())
    if (entry.tensor.requires_grad()) {
      trained.push_back(&entry);
      wrt.push_back(entry.tensor);
    }
  GRAFT_CHECK(!trained.empty(), "everything is frozen: there is no gradient to compute");
  const double value = loss.item();
  const auto grads = graft::gradients(loss, wrt);

  writer.set_attribute("model", graph.name);
  writer.add_tensor("", "loss", DType::f64, {}, "", std::as_bytes(std::span(&value, 1)));
  for (size_t i = 0; i < grads.size(); ++i) {
    const models::Parameter& p = trained[i]->info;
    const auto elements = network.in_file_order(p.name, grads[i]);
    writer.add_tensor("", p.name, DType::f32, {p.shape.extents, static_cast<size_t>(p.shape.rank)},
                      models::name_of(p.axes), std::as_bytes(std::span(elements)));
  }
  writer.commit();
  if (o.report.json)
    print_json({{"file", o.output.string()}, {"loss", value}, {"gradients", grads.size()}});
  else
    say("{}: loss {:.6f}, gradients of {}\n", o.output.string(), value,
        counted(static_cast<int64_t>(grads.size()), "parameter"));
  return kDone;
}

}  // namespace

void add_gradients(CommandLine& line) {
  auto [app, o] = add_command(line, "gradients", "Write the gradient of every parameter for a batch of images",
                              "graft gradients resnet18.h5 images.npy --labels labels.npy -o out.h5\n"
                              "graft gradients tiny.h5 images.npy --labels labels.npy -o out.h5 --train fc",
                              gradients);
  add_model(app, o.model);
  app.add_option("IN.npy", o.input, "A .npy file: float32 [N, H, W, C], preprocessed")->required();
  app.add_option("--labels", o.labels, "A .npy file: int64 [N]")->required()->type_name("LABELS.npy");
  add_output(app, o.output, "The HDF5 file to write: loss, and a data set of each parameter's name")
      ->required()
      ->type_name("OUT.h5");
  add_choice<Layout>(app, "--layout", o.layout, {{"nhwc", Layout::nhwc}, {"nchw", Layout::nchw}},
                     "Order of the images' axes");
  app.add_flag("--training", o.training, "Batch norms use the batch's statistics; dropout stays off");
  auto* freeze =
      add_patterns(app, "--freeze", o.patterns.freeze, "Layers that get no gradient: names, with *, ? and []");
  add_patterns(app, "--train", o.patterns.train, "Layers that do, and no others")->excludes(freeze);
  add_overwrite(app, o.overwrite);
  add_device_options(app, o.device);
  add_report_options(app, o.report);
}

}  // namespace graft::tools
