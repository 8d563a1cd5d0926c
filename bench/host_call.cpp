#include "bench/host_call.h"

#include <cstring>

namespace graft::bench {

HostCall::HostCall(Primitive primitive, const AnyArgs& args, Tensors tensors)
    : primitive_(primitive), args_(args), tensors_(std::move(tensors)) {
  bind();
}

HostCall::HostCall(Primitive primitive, const void* args) : primitive_(primitive) {
  std::memcpy(args_.bytes, args, info_of(primitive).args_bytes);
  for (int i = 0; i < info_of(primitive).roles.total(); ++i) {
    const TensorView& view = views_of(args)[i];
    const auto* from = view.as<const std::byte>();
    if (view.numel() > 0) tensors_[i].assign(from, from + view.bytes());
  }
  bind();
}

void HostCall::bind() {
  for (int i = 0; i < info_of(primitive_).roles.total(); ++i) views_of(args_.bytes)[i].data = tensors_[i].data();
}

void HostCall::zero_outputs() {
  const Roles roles = info_of(primitive_).roles;
  for (int i = roles.inputs; i < roles.total(); ++i) tensors_[i].assign(tensors_[i].size(), std::byte{0});
}

Workspace::Workspace(const Backend& backend, Primitive primitive, const void* args)
    : self_(backend.self),
      bytes_(backend.workspace_bytes ? backend.workspace_bytes(backend.self, primitive, args) : 0),
      memory_(static_cast<size_t>(align_up(bytes_) + kArenaAlignment)) {}

CallContext Workspace::context() const {
  const auto begin = reinterpret_cast<uintptr_t>(memory_.data());
  const auto aligned = static_cast<uintptr_t>(align_up(static_cast<int64_t>(begin)));
  return {.self = self_, .workspace = reinterpret_cast<void*>(aligned), .workspace_bytes = bytes_};
}

Status HostCall::run(const Backend& backend) {
  const Workspace workspace(backend, primitive_, args());
  CallContext context = workspace.context();
  const auto call = backend.run[static_cast<int>(primitive_)];
  return call ? call(&context, args()) : Status::unsupported;
}

}  // namespace graft::bench
