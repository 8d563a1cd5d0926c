#include "core/shapes_device.h"

#include <sys/mman.h>

#include <new>
#include <utility>

namespace graft {

namespace {

struct Shapes {
  std::shared_ptr<Device> real;
  const Backend& backend() const { return real->backend(); }
};
Shapes& of(void* self) { return *static_cast<Shapes*>(self); }

// Address space that no page stands behind: whoever touches it is stopped there.
Status allocate(void*, int64_t bytes, void** memory) {
  void* space =
      mmap(nullptr, static_cast<size_t>(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (space == MAP_FAILED) return Status::out_of_memory;
  *memory = space;
  return Status::ok;
}
void release(void*, void* memory, int64_t bytes) { munmap(memory, static_cast<size_t>(bytes)); }

Status copy(void*, StreamHandle, void*, const void*, int64_t, CopyKind) { return Status::ok; }
Status run(CallContext*, const void*) { return Status::ok; }
Status fill(const Executable*, void*, const ConstantSource*) { return Status::ok; }
Status execute(const Executable*, const ExecuteArgs*, StreamHandle) { return Status::ok; }

}  // namespace

std::shared_ptr<Device> shapes_device(std::shared_ptr<Device> real) {
  Backend backend;
  backend.name = real->backend().name;
  const DType compute_type = real->compute_type();
  backend.self = new Shapes{std::move(real)};
  backend.destroy = [](void* self) { delete static_cast<Shapes*>(self); };
  backend.device.allocate = allocate;
  backend.device.release = release;
  backend.device.copy = copy;
  for (auto& function : backend.run) function = run;
  backend.workspace_bytes = [](void* self, Primitive primitive, const void* args) {
    return of(self).real->workspace_bytes(primitive, args);
  };
  const CompileFunctions& compile = of(backend.self).backend().compile;
  backend.compile = {.describe =
                         [](void* self, const Piece* piece, Executable** executable) {
                           const Backend& b = of(self).backend();
                           return b.compile.describe(b.self, piece, executable);
                         },
                     .info = compile.info,
                     .plan = compile.plan,
                     .fill = fill,
                     .same_packing = compile.same_packing,
                     .execute = execute,
                     .destroy = compile.destroy};
  auto device = Device::create(backend);
  device->set_compute_type(compute_type);
  return device;
}

}  // namespace graft
