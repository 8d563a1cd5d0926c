#include "core/device.h"

#include "core/error.h"
#include "core/recorder.h"

namespace graft {

std::shared_ptr<Device> Device::create(const Backend& backend) {
  GRAFT_CHECK(backend.version == kContractVersion && backend.bytes == sizeof(Backend),
              "the {} backend was built for contract {}, this program for {}; install matching versions",
              backend.name ? backend.name : "unknown", backend.version, kContractVersion);
  return std::shared_ptr<Device>(new Device(backend));
}

Device::~Device() {
  allocator_.trim();
  if (backend_.destroy) backend_.destroy(backend_.self);
}

std::string Device::description() const {
  return backend_.device.description ? backend_.device.description(backend_.self) : backend_.name;
}

void Device::set_compute_type(DType type) {
  const ActivateArgs nothing{.x = {nullptr, {0}, type}, .y = {nullptr, {0}, type}};  // asks for kernels of this type
  const Status status = is_float(type) ? try_run(Primitive::activate, &nothing, nullptr, 0) : Status::unsupported;
  GRAFT_CHECK(status != Status::unsupported, "the {} device does not compute in {}", name(), name_of(type));
  check(status, "the first call");
  compute_type_ = type;
}

Precision Device::precision() const {
  return compute_type_ == DType::bf16 ? Precision::bf16 : allows_tf32_ ? Precision::tf32 : Precision::f32;
}

void Device::set_precision(Precision precision) {
  set_compute_type(precision == Precision::bf16 ? DType::bf16 : DType::f32);
  const auto allow_tf32 = backend_.device.allow_tf32;
  if (allow_tf32 == nullptr) return;
  check(allow_tf32(backend_.self, precision == Precision::tf32), "choose a precision");
  allows_tf32_ = precision == Precision::tf32;
}

int64_t Device::workspace_bytes(Primitive primitive, const void* args) const {
  return backend_.workspace_bytes ? backend_.workspace_bytes(backend_.self, primitive, args) : 0;
}

void Device::run(Primitive primitive, const void* args) {
  if (Recorder* recorder = Recorder::current()) {
    recorder->append(*this, primitive, args);
    return;
  }
  struct Workspace {  // goes back to the allocator in stream order, so the next call may have it at once
    Allocator& allocator;
    int64_t bytes;
    void* memory = allocator.allocate(bytes);
    ~Workspace() { allocator.release(memory, bytes); }
  } workspace{allocator_, workspace_bytes(primitive, args)};
  const Status status = try_run(primitive, args, workspace.memory, workspace.bytes);
  if (status != Status::ok) check(status, name_of(primitive), describe_call(primitive, args));
}

Status Device::try_run(Primitive primitive, const void* args, void* workspace, int64_t workspace_bytes,
                       StreamHandle stream) {
  const auto function = backend_.run[static_cast<int32_t>(primitive)];
  if (!function) return Status::unsupported;
  CallContext context{
      .self = backend_.self, .stream = stream, .workspace = workspace, .workspace_bytes = workspace_bytes};
  const Status status = function(&context, args);
  if (status == Status::ok && observer) observer(primitive, context.kernel);
  return status;
}

void Device::to_host(void* to, const void* from, int64_t bytes) {
  GRAFT_CHECK(!Recorder::current(), "a tensor has no values while a step is being recorded");
  if (bytes == 0) return;
  check(backend_.device.copy(backend_.self, stream_, to, from, bytes, CopyKind::device_to_host), "copy to host");
  synchronize();
}

void Device::from_host(void* to, const void* from, int64_t bytes) {
  GRAFT_CHECK(!Recorder::current(), "values cannot be given to a tensor while a step is being recorded");
  if (bytes == 0) return;
  check(backend_.device.copy(backend_.self, stream_, to, from, bytes, CopyKind::host_to_device), "copy from host");
  synchronize();  // the caller's memory is pageable and theirs again on return
}

void Device::copy(void* to, const void* from, int64_t bytes) {
  GRAFT_ASSERT(!Recorder::current());
  if (bytes == 0) return;
  check(backend_.device.copy(backend_.self, stream_, to, from, bytes, CopyKind::device_to_device), "copy");
}

void Device::synchronize() {
  if (backend_.device.synchronize) check(backend_.device.synchronize(backend_.self, stream_), "synchronize");
}

void Device::check(Status status, const char* what, const std::string& arguments) const {
  if (status == Status::ok) return;
  std::string message = fmt::format("{} on {}: {}", what, backend_.name, name_of(status));
  if (status == Status::device_error && backend_.device.last_error)
    message += fmt::format(" ({})", backend_.device.last_error(backend_.self));
  if (!arguments.empty()) message += ": " + arguments;
  if (status == Status::device_error) throw_device_error(std::move(message));
  throw_error(std::move(message));
}

std::string describe_call(Primitive primitive, const void* args) {
  const TensorView* views = views_of(args);
  const Roles roles = info_of(primitive).roles;
  std::string text;
  for (int i = 0; i < roles.total(); ++i) {
    const char* role = i < roles.inputs ? "in" : i < roles.inputs + roles.inouts ? "in-out" : "out";
    if (views[i].present())
      text += fmt::format("{}{} {} {}", text.empty() ? "" : ", ", role, views[i].shape, name_of(views[i].dtype));
  }
  return text;
}

}  // namespace graft
