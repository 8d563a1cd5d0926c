#include "tools/backend.h"

#include <algorithm>

#include "core/usable_cpus.h"
#include "tools/options.h"
#include "tools/output.h"

namespace graft::tools {

void add_device(CLI::App& app, DeviceOptions& o) {
  auto* device = app.add_option("--device", o.name, "What computes: one of auto, cpu, reference, cuda, cuda:N");
  device->check([](const std::string& given) {
    return is_device_name(given) ? std::string() : given + " is not one of auto, cpu, reference, cuda, cuda:N";
  });
  with_placeholder(device, "NAME", "auto");
  with_placeholder(add_number(app, "--threads", o.threads, {1, 1024}, "Threads that compute"), "N",
                   "one for each processor");
}

void add_device_options(CLI::App& app, DeviceOptions& o) {
  add_device(app, o);
  auto* precision = app.add_option("--precision", o.precision,
                                   "f32; on a GPU tf32: factors of products are rounded to 11 significant bits; on a "
                                   "GPU bf16: weights and what lies between layers have 16 bits, sums, statistics and "
                                   "the weights that training moves have 32");
  precision->check([](const std::string& given) {
    return precision_named(given) ? std::string() : given + " is not one of f32, tf32, bf16";
  });
  with_placeholder(precision, "TYPE", "f32");
  with_placeholder(app.add_option("--tuning", o.tuning,
                                  "Which ways compute, as `graft bench tune` found them here; none: the rules"),
                   "FILE", "$GRAFT_TUNING");
}

std::shared_ptr<Device> open_device_noted(const DeviceOptions& options) {
  auto device = open_device(options);
  if (precision_named(options.precision) != device->precision())
    note("the {} device has no {}: it computes in full {}", device->name(), options.precision,
         name_of(device->precision()));
  return device;
}

int reading_threads(int64_t photos) { return photos > 1 ? std::min(usable_cpus(), 8) : 0; }

}  // namespace graft::tools
