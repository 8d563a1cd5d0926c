// graft models: the networks graft knows by name.
#include "models/graph.h"
#include "models/registry.h"
#include "models/summary.h"
#include "tools/command.h"
#include "tools/output.h"
#include "tools/report.h"
#include "train/model_file.h"

namespace graft::tools {

namespace {

struct ModelsOptions {
  ReportOptions report;
};

int list_models(const ModelsOptions& o) {
  Table table({"network", "parameters", "multiply-adds", "input", "classes"});
  for (const models::Model& model : models::all_models()) {
    const int side = model.preprocessing.crop;
    const auto summary = models::summarize(model.make(model.classes), 1, side, side);
    if (o.report.json)
      print_json({{"name", model.name},
                  {"parameters", summary.parameters},
                  {"multiply_adds", summary.multiply_adds},
                  {"input", {side, side, summary.input.channels()}},
                  {"classes", model.classes}});
    else
      table.add({model.name, with_commas(summary.parameters), with_commas(summary.multiply_adds),
                 fmt::format("{} x {}", side, side), std::to_string(model.classes)});
  }
  if (!o.report.json) write_output(table.text());
  return kDone;
}

}  // namespace

void add_models(CommandLine& line) {
  auto [app, o] = add_command(line, "models", "List the networks graft knows by name",
                              "graft models\n"
                              "graft models --json",
                              list_models);
  add_report_options(app, o.report);
}

}  // namespace graft::tools
