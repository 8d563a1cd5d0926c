// graft devices: what can compute here, and why the rest cannot.
#include "core/cuda_plugin.h"
#include "tools/backend.h"
#include "tools/command.h"
#include "tools/output.h"
#include "tools/report.h"

namespace graft::tools {

namespace {

struct DevicesOptions {
  ReportOptions report;
};

struct Found {
  std::string name, what;
  bool usable = true;
  bool library = false;  // not a device: one that a device computes faster with
};

Found try_device(const std::string& name) {
  try {
    return {.name = name, .what = open_device({.name = name})->description()};
  } catch (const Error& e) {
    return {.name = name, .what = e.what(), .usable = false};
  }
}

std::vector<Found> find_all() {
  std::vector<Found> all = {try_device("cpu"), try_device("reference")};
  const CudaSurvey cuda = survey_cuda();
  if (!cuda.reason.empty()) all.push_back({.name = "cuda", .what = cuda.reason, .usable = false});
  for (size_t i = 0; i < cuda.devices.size(); ++i) all.push_back(try_device(fmt::format("cuda:{}", i)));
  for (const CudaLibrary& l : cuda.libraries)
    all.push_back({.name = l.name, .what = l.text, .usable = l.usable, .library = true});
  return all;
}

int list_devices(const DevicesOptions& o) {
  Table table({"device", "usable", "what"});
  for (const Found& f : find_all()) {
    if (o.report.json)
      print_json({{f.library ? "library" : "device", f.name}, {"usable", f.usable}, {"what", f.what}});
    else
      table.add({f.name, f.usable ? "yes" : "no", f.what});
  }
  if (!o.report.json) write_output(table.text());
  return kDone;
}

}  // namespace

void add_devices(CommandLine& line) {
  auto [app, o] =
      add_command(line, "devices", "List what can compute here", "graft devices\ngraft devices --json", list_devices);
  add_report_options(app, o.report);
}

}  // namespace graft::tools
