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
  auto* precision = app.add_option("--precision", o.precision,
                                   "f32, or on a GPU bf16: weights and what lies between layers have 16 bits, sums, "
                                   "statistics and the weights that training moves have 32");
  precision->check([](const std::string& given) {
    return is_precision_name(given) ? std::string() : given + " is not one of f32, bf16";
  });
  with_placeholder(precision, "TYPE", "f32");
  with_placeholder(add_number(app, "--threads", o.threads, {1, 1024}, "Threads that compute"), "N",
                   "one for each processor");
}

int reading_threads(int64_t photos) { return photos > 1 ? std::min(usable_cpus(), 8) : 0; }

}  // namespace graft::tools
