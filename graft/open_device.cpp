#include "graft/open_device.h"

#include "core/error.h"
#include "core/usable_cpus.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/reference/reference_backend.h"

namespace graft {

std::shared_ptr<Device> open_device(const DeviceOptions& options) {
  GRAFT_CHECK(options.threads >= 0, "a device cannot have {} threads", options.threads);
  Backend backend;
  Status status = Status::unsupported;
  if (options.name == "cpu") {
    const CpuOptions cpu{.threads = options.threads > 0 ? options.threads : usable_cpus()};
    status = graft_cpu_backend(&cpu, &backend);
  } else if (options.name == "reference") {
    status = graft_reference_backend(&backend);
  } else {
    fail("there is no device \"{}\"; use \"cpu\" or \"reference\"", options.name);
  }
  GRAFT_CHECK(status == Status::ok, "the {} backend cannot be used on this machine: {}", options.name, name_of(status));
  return Device::create(backend);
}

}  // namespace graft
