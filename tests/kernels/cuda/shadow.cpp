#include "tests/kernels/cuda/shadow.h"

#include <algorithm>
#include <cstring>

#include "core/device.h"
#include "tests/kernels/op_table/check.h"

namespace graft::test {

namespace {

Backend watched;  // its own functions
Shadow* observer = nullptr;

Bytes bytes_of(const TensorView& view) {
  Bytes bytes(static_cast<size_t>(view.bytes()));
  if (bytes.empty()) return bytes;
  if (watched.device.copy(watched.self, nullptr, bytes.data(), view.data, view.bytes(), CopyKind::device_to_host) !=
          Status::ok ||
      watched.device.synchronize(watched.self, nullptr) != Status::ok)
    throw InternalError("a tensor cannot be read back");
  return bytes;
}

Tensors tensors_of(Primitive primitive, const void* args) {
  Tensors tensors;
  for (int i = 0; i < info_of(primitive).roles.total(); ++i)
    if (views_of(args)[i].present()) tensors[i] = bytes_of(views_of(args)[i]);
  return tensors;
}

// A row that has the primitive's bound and names, and says which views are numbers of the type at work.
OpRow row_for(const OpEntry& entry, const AnyArgs& args) {
  OpRow row =
      *std::find_if(entry.rows.begin(), entry.rows.end(), [](const OpRow& r) { return r.expected == Status::ok; });
  const OpRow& full = *std::max_element(entry.rows.begin(), entry.rows.end(), [](const OpRow& a, const OpRow& b) {
    const auto named = [](const OpRow& r) {
      return std::count_if(r.views.begin(), r.views.end(), [](const RowView& v) { return *v.name != 0; });
    };
    return named(a) < named(b);
  });
  for (int i = 0; i < info_of(entry.primitive).roles.total(); ++i) {
    row.views[i] = full.views[i];
    row.views[i].real = is_float(views_of(args.bytes)[i].dtype) && full.views[i].real;
  }
  return row;
}

// The same call in f64.
HostCall exact_call(const OpEntry& entry, const OpRow& row, const AnyArgs& args, const Tensors& before) {
  AnyArgs exact = args;
  Tensors tensors = before;
  for (int i = 0; i < info_of(entry.primitive).roles.total(); ++i) {
    TensorView& view = views_of(exact.bytes)[i];
    if (!view.present() || !row.views[i].real) continue;
    const DType type = view.dtype;
    view.dtype = DType::f64;
    tensors[i].assign(static_cast<size_t>(view.bytes()), std::byte{0});
    for (int64_t e = 0; e < view.numel(); ++e) {
      const double value = element(before[i], type, e);
      std::memcpy(tensors[i].data() + static_cast<size_t>(e) * sizeof(double), &value, sizeof value);
    }
  }
  return {entry.primitive, exact, std::move(tensors)};
}

Status run_and_compare(Primitive primitive, CallContext* context, const void* given) {
  const OpEntry& entry = op_entry(primitive);
  AnyArgs args;
  std::memcpy(args.bytes, given, info_of(primitive).args_bytes);
  const Tensors before = tensors_of(primitive, given);
  const Status status = watched.run[static_cast<int>(primitive)](context, given);
  if (status != Status::ok) return status;
  if (computes_in(primitive, given) == DType::none) return status;  // it moves numbers: nothing to be near
  const Tensors after = tensors_of(primitive, given);
  const OpRow row = row_for(entry, args);
  const std::string problem =
      compare_outputs(reference_backend(), entry, row, args, exact_call(entry, row, args, before), after);
  ++observer->calls[primitive];
  if (!problem.empty())
    observer->problems.push_back(std::string(name_of(primitive)) + " " + describe_call(primitive, given) + ": " +
                                 problem);
  return status;
}

}  // namespace

void watch(Backend* backend, Shadow* shadow) {
  watched = *backend;
  observer = shadow;
  backend->device.begin_capture = nullptr;  // a call that is captured has no result to compare
#define X(name, Args)                                                                            \
  backend->run[static_cast<int>(Primitive::name)] = [](CallContext* context, const void* args) { \
    return run_and_compare(Primitive::name, context, args);                                      \
  };
  GRAFT_PRIMITIVES(X)
#undef X
}

}  // namespace graft::test
