#include "graft/open_device.h"

#include <charconv>
#include <cstdlib>

#include "core/cuda_plugin.h"
#include "core/error.h"
#include "core/usable_cpus.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/reference/reference_backend.h"
#include "train/tuning.h"

namespace graft {

namespace {

std::shared_ptr<Device> open_cpu(int threads) {
  Backend backend;
  const CpuOptions options{.threads = threads > 0 ? threads : usable_cpus()};
  const Status status = graft_cpu_backend(&options, &backend);
  GRAFT_CHECK(status != Status::invalid_argument,
              "GRAFT_MAX_ISA names no instruction set: sse4, avx2 and avx512 are known");
  GRAFT_CHECK(status == Status::ok,
              "the CPU backend cannot be used on this machine: {}; the device \"reference\" works",
              status == Status::unsupported ? "it needs a processor with SSE4" : name_of(status));
  return Device::create(backend);
}

std::shared_ptr<Device> open_reference() {
  Backend backend;
  const Status status = graft_reference_backend(&backend);
  GRAFT_CHECK(status == Status::ok, "the reference backend cannot be used: {}", name_of(status));
  return Device::create(backend);
}

}  // namespace

std::optional<int> cuda_index(std::string_view name) {
  if (name == "cuda") return 0;
  constexpr std::string_view kPrefix = "cuda:";
  int index = 0;
  if (!name.starts_with(kPrefix)) return {};
  name.remove_prefix(kPrefix.size());
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (error != std::errc() || end != name.data() + name.size() || index < 0) return {};
  return index;
}

namespace {

// A file that is asked for is used or is an error; one that is only in the environment is for devices that have ways.
void tune(Device& device, const std::string& file) {
  const char* standing = std::getenv("GRAFT_TUNING");
  if (file == "none") return;
  if (!file.empty())
    train::apply(train::read_tuning(file), device, file);
  else if (standing != nullptr && *standing != '\0' && device.backend().tune.ways != nullptr)
    train::apply(train::read_tuning(standing), device, standing);
}

}  // namespace

bool is_device_name(std::string_view name) {
  return name == "auto" || name == "cpu" || name == "reference" || cuda_index(name);
}

namespace {

std::shared_ptr<Device> open_backend(const DeviceOptions& options) {
  GRAFT_CHECK(options.threads >= 0, "a device cannot have {} threads", options.threads);
  GRAFT_CHECK(is_device_name(options.name),
              "there is no device \"{}\"; auto, cpu, reference, cuda and cuda:N are known", options.name);
  if (options.name == "reference") return open_reference();
  if (const auto index = cuda_index(options.name)) return open_cuda(*index);
  if (options.name == "auto") try {
      return open_cuda(0);
    } catch (const Error&) {  // `graft devices` has the reason
    }
  return open_cpu(options.threads);
}

}  // namespace

std::optional<Precision> precision_named(std::string_view name) {
  for (const Precision p : {Precision::f32, Precision::tf32, Precision::bf16})
    if (name == name_of(p)) return p;
  return {};
}

std::shared_ptr<Device> open_device(const DeviceOptions& options) {
  auto device = open_backend(options);
  const auto precision = precision_named(options.precision);
  GRAFT_CHECK(precision, "there is no precision \"{}\"; f32, tf32 and bf16 are known", options.precision);
  GRAFT_CHECK(*precision != Precision::bf16 || std::string_view(device->name()) == "cuda",
              "the {} device computes in f32: bf16 is for a GPU, whose tensor cores multiply it. Leave the precision "
              "out, or choose the device cuda",
              device->name());
  device->set_precision(*precision);
  tune(*device, options.tuning);
  return device;
}

}  // namespace graft
