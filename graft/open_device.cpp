#include "graft/open_device.h"

#include <charconv>

#include "core/cuda_plugin.h"
#include "core/error.h"
#include "core/usable_cpus.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/reference/reference_backend.h"

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

bool is_precision_name(std::string_view name) { return name == "f32" || name == "bf16"; }

std::shared_ptr<Device> open_device(const DeviceOptions& options) {
  auto device = open_backend(options);
  GRAFT_CHECK(is_precision_name(options.precision), "there is no precision \"{}\"; f32 and bf16 are known",
              options.precision);
  if (options.precision == "f32") return device;
  GRAFT_CHECK(std::string_view(device->name()) == "cuda",
              "the {} device computes in f32: bf16 is for a GPU, whose tensor cores multiply it. Leave the precision "
              "out, or choose the device cuda",
              device->name());
  device->set_compute_type(DType::bf16);
  return device;
}

}  // namespace graft
