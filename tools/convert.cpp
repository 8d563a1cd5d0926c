// graft convert: weights that PyTorch saved become graft's own file.
#include <filesystem>

#include "io/torch/torch_file.h"
#include "models/imagenet_classes.h"
#include "tools/class_names.h"
#include "tools/command.h"
#include "tools/command_text.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/overwrite.h"
#include "tools/report.h"
#include "train/model_file.h"

namespace graft::tools {

namespace {

struct ConvertOptions {
  std::filesystem::path weights, output;
  std::string arch, classes;
  train::Provenance provenance;
  bool overwrite = false;
  ReportOptions report;
};

// A network of 1,000 classes without names is one of ImageNet until somebody says otherwise.
std::vector<std::string> class_names_for(const ConvertOptions& o, int64_t classes) {
  constexpr int64_t kImageNet = 1000;
  if (o.classes == "none") return {};
  if (o.classes == "imagenet" || (o.classes.empty() && classes == kImageNet)) return models::imagenet_classes();
  return o.classes.empty() ? std::vector<std::string>() : read_class_names(o.classes);
}

int convert(const ConvertOptions& o) {
  auto output = o.output;
  if (output.empty()) output = o.weights.stem().concat(".h5");  // in the current folder
  check_replaceable(output, {o.weights}, o.overwrite);
  const auto weights = io::open_torch_file(o.weights);
  const auto graph = models::graph_for(train::named_shapes(*weights), o.weights.string(), o.arch);
  const auto info = train::convert(*weights, o.weights.string(), graph.name,
                                   class_names_for(o, models::classes_of(graph)), output, o.provenance);
  int64_t parameters = 0;
  for (const models::Parameter& p : models::parameters_of(info.graph))
    if (!p.is_buffer) parameters += p.shape.numel();
  const int64_t classes = models::classes_of(info.graph);
  if (o.report.json) {
    print_json({{"file", output.string()},
                {"model", info.graph.name},
                {"parameters", parameters},
                {"classes", classes},
                {"named", !info.classes.empty()}});
  } else {
    say("{}: {}, {} parameters, {} classes{}\n", output.string(), info.graph.name, with_commas(parameters), classes,
        info.classes.empty() ? " without names (--classes FILE gives them)" : "");
    if (!o.report.quiet) say("next: graft predict {} PHOTO\n", shell_quoted(output.string()));
  }
  return kDone;
}

}  // namespace

void add_convert(CommandLine& line) {
  auto [app, o] = add_command(line, "convert", "Make a model file from weights that PyTorch saved",
                              "graft convert efficientnet_lite0.pth -o lite0.h5\n"
                              "graft convert resnet20.th --classes cifar10.txt",
                              convert);
  app.add_option("WEIGHTS", o.weights, "Weights that PyTorch saved: .pth, .pt or .th")->required();
  with_placeholder(add_output(app, o.output, "The model file to write"), "OUT.h5", "the weights' name with .h5, here");
  with_placeholder(app.add_option("--arch", o.arch, "The network, as `graft models` lists them"), "NAME",
                   "recognised by names and shapes");
  with_placeholder(app.add_option("--classes", o.classes, "A file with a class name a line, or imagenet, or none"),
                   "FILE", "imagenet for 1,000 classes");
  with_placeholder(app.add_option("--licence", o.provenance.licence, "Of the weights, kept in the file"), "WORDS");
  with_placeholder(app.add_option("--source", o.provenance.source, "Where the weights come from, kept in the file"),
                   "WORDS", "their name");
  add_overwrite(app, o.overwrite);
  add_report_options(app, o.report);
}

}  // namespace graft::tools
