#include "tools/backend.h"

#include <algorithm>

#include "core/usable_cpus.h"
#include "tools/options.h"

namespace graft::tools {

void add_device_options(CLI::App& app, DeviceOptions& o) {
  auto* device = app.add_option("--device", o.name, "What computes: one of auto, cpu, reference, cuda, cuda:N");
  device->check([](const std::string& given) {
    return is_device_name(given) ? std::string() : given + " is not one of auto, cpu, reference, cuda, cuda:N";
  });
  with_placeholder(device, "NAME", "auto");
  with_placeholder(add_number(app, "--threads", o.threads, {1, 1024}, "Threads that compute"), "N",
                   "one for each processor");
}

int reading_threads(int64_t photos) { return photos > 1 ? std::min(usable_cpus(), 8) : 0; }

}  // namespace graft::tools
