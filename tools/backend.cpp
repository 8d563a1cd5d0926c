#include "tools/backend.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "core/error.h"
#include "core/usable_cpus.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/reference/reference_backend.h"
#include "tools/options.h"

namespace graft::tools {

void add_device_options(CLI::App& app, DeviceOptions& o) {
  add_choice<std::string>(app, "--device", o.device,
                          {{"auto", "auto"}, {"cpu", "cpu"}, {"reference", "reference"}, {"cuda", "cuda"}},
                          "What computes");
  with_placeholder(add_number(app, "--threads", o.threads, {1, 1024}, "Threads that compute"), "N",
                   "one for each processor");
}

std::shared_ptr<Device> open_device(const DeviceOptions& o) {
  Backend backend;
  if (o.device == "cuda") fail("there is no GPU backend in this build; leave --device out to compute on the CPU");
  if (o.device == "reference") {
    const Status status = graft_reference_backend(&backend);
    GRAFT_CHECK(status == Status::ok, "the reference backend cannot be used: {}", name_of(status));
  } else {
    const CpuOptions options{.threads = o.threads > 0 ? o.threads : usable_cpus()};
    const Status status = graft_cpu_backend(&options, &backend);
    GRAFT_CHECK(status != Status::invalid_argument,
                "GRAFT_MAX_ISA names no instruction set: sse4, avx2 and avx512 are known");
    GRAFT_CHECK(status == Status::ok, "the CPU backend cannot be used on this machine: {}; --device reference works",
                status == Status::unsupported ? "it needs a processor with SSE4" : name_of(status));
  }
  return Device::create(backend);
}

int reading_threads(int64_t photos) { return photos > 1 ? std::min(usable_cpus(), 8) : 0; }

}  // namespace graft::tools
