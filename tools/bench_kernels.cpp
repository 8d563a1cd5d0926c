// graft bench kernels: each kernel's time, beside the machine's limits, an earlier run, other libraries' kernels and a
// kernel of the user's.
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>

#include "bench/baseline.h"
#include "bench/operations.h"
#include "bench/peer.h"
#include "bench/run_cases.h"
#include "bench/shapes.h"
#include "bench/user_kernel.h"
#include "core/usable_cpus.h"
#include "tools/backend.h"
#include "tools/bench_table.h"
#include "tools/command.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/report.h"
#include "tools/signals.h"

namespace graft::tools {

namespace {

constexpr std::chrono::seconds kPatience{60};  // for one answer of a peer

struct KernelsOptions {
  std::string filter, network, kernel;
  std::filesystem::path shapes, baseline;
  int64_t batch = 16;
  DType dtype = DType::f32;
  double seconds = 0.25;
  int64_t runs = 7, cold_runs = 5;
  bool peers = false, list = false;
  DeviceOptions device;
  ReportOptions report;
};

std::vector<bench::KernelCase> wanted_cases(const KernelsOptions& o) {
  if (!o.shapes.empty() && !o.network.empty()) wrong_use("--shapes and --network do not go together: give one of them");
  std::vector<bench::KernelCase> all = !o.shapes.empty()    ? bench::read_shapes(o.shapes, o.dtype)
                                       : !o.network.empty() ? bench::network_cases(o.network, o.batch, o.dtype)
                                                            : bench::standard_cases(o.batch, o.dtype);
  std::erase_if(all, [&](const bench::KernelCase& c) {
    const std::string text = c.name() + "  " + c.layer + "  " + name_of(c.primitive);
    return text.find(o.filter) == text.npos;
  });
  GRAFT_CHECK(!all.empty(), "no case has \"{}\" in its name, its layer or its primitive; --list shows them all",
              o.filter);
  return all;
}

int list_cases(const std::vector<bench::KernelCase>& cases, bool json) {
  Table table({"case", "layer", "primitive"});
  for (const bench::KernelCase& c : cases) {
    if (json)
      print_json({{"name", c.name()}, {"layer", c.layer}, {"primitive", name_of(c.primitive)}});
    else
      table.add({c.name(), c.layer, name_of(c.primitive)});
  }
  if (!json) write_output(table.text() + "\nLines for --shapes:\n" + bench::operations_help());
  return kDone;
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

std::vector<std::unique_ptr<bench::Entrant>> start_peers(const std::string& device, int threads) {
  const std::string program = bench::find_peer().string();
  std::vector<std::unique_ptr<bench::Entrant>> peers;
  const bool gpu = cuda_index(device).has_value();
  for (const char* library : {"libtorch", "onednn"}) {
    if (gpu && std::string_view(library) == "onednn") continue;  // of the CPU
    peers.push_back(std::make_unique<bench::PeerEntrant>(
        std::vector<std::string>{program, library, gpu ? device : "cpu", std::to_string(threads)}, kPatience));
  }
  return peers;
}

int bench_kernels(const KernelsOptions& o) {
  std::vector<bench::KernelCase> cases = wanted_cases(o);
  if (o.list) return list_cases(cases, o.report.json);
  std::optional<bench::Results> then;
  if (!o.baseline.empty()) then = bench::read_results(o.baseline);

  const auto device = open_device(o.device);
  const int threads = std::string_view(device->name()) == "reference" ? 1
                      : o.device.threads > 0                          ? o.device.threads
                                                                      : usable_cpus();
  bench::DeviceEntrant graft(device, threads);
  std::vector<std::unique_ptr<bench::Entrant>> others;
  if (!o.kernel.empty()) {
    auto kernel = std::make_unique<bench::UserKernel>(o.kernel, graft);
    std::erase_if(cases, [&](const bench::KernelCase& c) { return c.primitive != kernel->primitive(); });
    GRAFT_CHECK(!cases.empty(), "{} computes {}, and none of the chosen cases does", o.kernel,
                name_of(kernel->primitive()));
    others.push_back(std::move(kernel));
  }
  if (o.peers)
    for (auto& peer : start_peers(device->name(), threads)) others.push_back(std::move(peer));
  std::vector<bench::Entrant*> entrants;
  for (const auto& other : others) entrants.push_back(other.get());

  const std::atomic<bool>& stop = watch_for_stop();
  Progress progress("kernels", static_cast<int64_t>(cases.size()), o.report.quiet);
  bench::Results results =
      bench::run_cases(cases, device, graft, entrants,
                       {.measure = {.seconds = o.seconds, .fewest_runs = o.runs, .cold_runs = o.cold_runs},
                        .threads = threads,
                        .dtype = o.dtype},
                       [&](size_t done, const bench::KernelCase& next) {
                         progress.at(static_cast<int64_t>(done), next.name());
                         return !stop;
                       });
  set_status_line("");
  results.date = today();
  results.version = GRAFT_VERSION;
  if (then) bench::compare_with_baseline(results, *then);

  if (o.report.json)
    print_json(bench::to_json(results));
  else
    write_output(as_table(results));
  if (then && !o.report.json)
    if (const std::string text = bench::differences(results, *then); !text.empty())
      say("the baseline of {} is hard to compare with: {}\n", then->date, text);
  if (stop) return kInterrupted;
  return std::all_of(results.rows.begin(), results.rows.end(), [](const bench::Row& row) { return row.timed(); })
             ? kDone
             : kFailed;
}

}  // namespace

void add_bench_kernels(CommandLine& line, CLI::App& bench) {
  auto [app, o] = add_command(line, bench, "kernels", "Measure kernels, one layer at a time",
                              "graft bench kernels --filter conv2d\n"
                              "graft bench kernels --json > old.json\n"
                              "graft bench kernels --baseline old.json\n"
                              "graft bench kernels --peers --filter depthwise\n"
                              "graft bench kernels --kernel ./mine.so:my_relu",
                              bench_kernels);
  app.add_option("--filter", o.filter, "Only cases with this in their name, layer or primitive")->type_name("TEXT");
  app.add_option("--shapes", o.shapes, "Cases from a file, a line each; --list shows how they are written")
      ->type_name("FILE");
  app.add_option("--network", o.network, "Every layer of a network instead of the standard list")->type_name("NAME");
  add_batch(app, o.batch, "Images at a time, in the standard list and with --network");
  add_choice<DType>(app, "--dtype", o.dtype, {{"f32", DType::f32}, {"bf16", DType::bf16}}, "Type of the tensors");
  add_number(app, "--seconds", o.seconds, {0, 3600}, "How long to measure each case")->type_name("SECONDS");
  add_number(app, "--runs", o.runs, {1, 100'000}, "Runs of each case, at least");
  add_number(app, "--cold-runs", o.cold_runs, {0, 100'000}, "Runs of each case with swept caches");
  app.add_flag("--peers", o.peers, "Beside LibTorch and oneDNN, compared first and timed in turns");
  app.add_option("--kernel", o.kernel, "Beside a kernel of your own (docs/benchmarking.md); it runs in this process")
      ->type_name("LIB.so:SYMBOL");
  app.add_option("--baseline", o.baseline, "What an earlier run wrote with --json, to compare with")
      ->type_name("OLD.json");
  app.add_flag("--list", o.list, "Show the cases and run nothing");
  add_device(app, o.device);
  add_report_options(app, o.report);
}

}  // namespace graft::tools
