// graft devices: what can compute here, and why the rest cannot.
#include "tools/backend.h"
#include "tools/command.h"
#include "tools/output.h"
#include "tools/report.h"

namespace graft::tools {

namespace {

struct DevicesOptions {
  ReportOptions report;
};

int list_devices(const DevicesOptions& o) {
  Table table({"device", "usable", "what"});
  for (const char* name : {"cpu", "reference", "cuda"}) {
    bool usable = true;
    std::string what;
    try {
      what = open_device({.device = name, .threads = 0})->description();
    } catch (const Error& e) {
      usable = false;
      what = e.what();
    }
    if (o.report.json)
      print_json({{"device", name}, {"usable", usable}, {"what", what}});
    else
      table.add({name, usable ? "yes" : "no", what});
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
