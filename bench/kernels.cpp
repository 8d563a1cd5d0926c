// Times the bench rows of the op table.
//
//   graft_bench_kernels [--backend NAME] [--filter TEXT] [--seconds S]
//
// A row with a count of operations is given in GFLOP/s and as a share of the machine's multiply-add peak, any other in
// GB/s (each tensor moved once) and as a share of the bandwidth of memory; both limits are measured in the same run.
// Shares above 100 % of bandwidth mean that the tensors fit in a cache. The time is the median of the calls.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "bench/limits.h"
#include "core/error.h"
#include "tests/kernels/op_table/backends.h"
#include "tests/kernels/op_table/call.h"

namespace graft::bench {
namespace {

struct Options {
  std::string backend, filter;
  double seconds = 0.5;  // for each row
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    GRAFT_CHECK((name == "--backend" || name == "--filter" || name == "--seconds") && i + 1 < argc,
                "usage: graft_bench_kernels [--backend NAME] [--filter TEXT] [--seconds S]");
    const std::string value = argv[++i];
    if (name == "--backend") options.backend = value;
    if (name == "--filter") options.filter = value;
    if (name == "--seconds") options.seconds = std::strtod(value.c_str(), nullptr);
  }
  return options;
}

double median_seconds(const Backend& backend, Primitive primitive, const test::OpRow& row, double budget,
                      std::string& kernel) {
  using Clock = std::chrono::steady_clock;
  test::HostCall call(primitive, test::typed_args(primitive, row, DType::f32),
                      test::contents(primitive, row, DType::f32, DType::f32));
  test::Workspace workspace(backend, primitive, call.args());
  CallContext context = workspace.context();
  std::vector<double> times;
  double total = 0;
  for (int n = 0; n < 2 || (total < budget && n < 10000); ++n) {
    const auto begin = Clock::now();
    const Status status = backend.run[static_cast<int>(primitive)](&context, call.args());
    GRAFT_CHECK(status == Status::ok, "{} {}: {}", name_of(primitive), row.text, name_of(status));
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    total += seconds;
    if (n > 0) times.push_back(seconds);  // the first call touches the memory
  }
  kernel = context.kernel ? context.kernel : "";
  std::nth_element(times.begin(), times.begin() + static_cast<int64_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

void time_backend(const test::BackendUnderTest& entry, const Options& options) {
  Backend backend;
  if (const Status status = entry.create(&backend); status != Status::ok) {
    fmt::print("{}: {}\n", entry.name, name_of(status));
    return;
  }
  const double flops = peak_flops(entry.threads), bandwidth = peak_bandwidth(entry.threads);
  fmt::print("{}, {} thread(s): at most {:.0f} GFLOP/s, {:.1f} GB/s\n", entry.name, entry.threads, flops / 1e9,
             bandwidth / 1e9);
  for (const test::OpEntry& op : test::op_table())
    for (const test::OpRow& row : op.bench_rows) {
      if (std::string(name_of(op.primitive)).find(options.filter) == std::string::npos) continue;
      std::string kernel;
      const double seconds = median_seconds(backend, op.primitive, row, options.seconds, kernel);
      const bool computes = row.flops > 0;
      const double rate = (computes ? row.flops : static_cast<double>(row.bytes(op.primitive))) / seconds;
      fmt::print("{:33} {:10.3f} ms {:9.2f} {:7} {:6.1f} %  {:24} {}\n", name_of(op.primitive), seconds * 1e3,
                 rate / 1e9, computes ? "GFLOP/s" : "GB/s", 100 * rate / (computes ? flops : bandwidth), kernel,
                 row.text);
      std::fflush(stdout);
    }
  if (backend.destroy) backend.destroy(backend.self);
}

}  // namespace
}  // namespace graft::bench

int main(int argc, char** argv) try {
  const auto options = graft::bench::parse(argc, argv);
  bool found = false;
  for (const auto& entry : graft::test::backends_under_test()) {
    if (entry.name.find(options.backend) == std::string::npos) continue;
    found = true;
    graft::bench::time_backend(entry, options);
  }
  GRAFT_CHECK(found, "no backend has '{}' in its name", options.backend);
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "graft_bench_kernels: {}\n", e.what());
  return 1;
}
