#include "tests/kernels/op_table/check.h"

#include "bench/compare.h"

namespace graft::test {
namespace {

std::string same_outputs(Primitive primitive, const OpRow& row, const Tensors& a, const Tensors& b, const char* when) {
  for (int i = info_of(primitive).roles.inputs; i < info_of(primitive).roles.total(); ++i)
    if (a[i] != b[i]) return fmt::format("{} has other bits {}; ", row.views[i].name, when);
  return "";
}

bool is_a_librarys(const std::string& kernel) { return kernel == "cudnn" || kernel == "cublaslt"; }

bool writes_anything(Primitive primitive, const OpRow& row) {
  const Roles roles = info_of(primitive).roles;
  for (int i = roles.inputs; i < roles.total(); ++i)
    if (row.view(i).numel() > 0) return true;
  return false;
}

// f16 is for answers alone: its range is too short for gradients.
bool is_for_inference(Primitive primitive) {
  switch (primitive) {
    case Primitive::conv2d:
    case Primitive::depthwise_conv2d:
    case Primitive::squeeze_excite:
    case Primitive::batch_norm_inference:
    case Primitive::activate:
    case Primitive::add:
    case Primitive::scale:
    case Primitive::multiply:
    case Primitive::fill:
    case Primitive::cast:
    case Primitive::permute:
    case Primitive::copy_slice:
    case Primitive::subsample_pad:
    case Primitive::max_pool:
    case Primitive::avg_pool:
    case Primitive::adaptive_avg_pool:
    case Primitive::matmul:
    case Primitive::reduce:
    case Primitive::softmax:
    case Primitive::resize_images:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool applies(const BackendUnderTest& entry, const OpEntry& op, const OpRow& row, DType dtype) {
  if (op.wide_only && dtype != vector_type(dtype)) return false;
  if (dtype == DType::f16 && !is_for_inference(op.primitive)) return false;
  for (const RowView& view : row.views)
    if (view.real) return true;
  return dtype == entry.dtypes.front();
}

std::string compare_outputs(const Backend& reference, const OpEntry& entry, const OpRow& row, const AnyArgs& args,
                            const HostCall& before, const Tensors& got) {
  const Roles roles = info_of(entry.primitive).roles;
  HostCall after = before;
  if (const Status status = after.run(reference); status != Status::ok)
    return fmt::format("the reference answers '{}'; ", name_of(status));
  HostCall magnitude = before;
  magnitude.zero_outputs();
  if (row.bound.magnitude)
    row.bound.magnitude(reference, entry.primitive, before.args(), after.args(), magnitude.args());

  const TensorView* views = views_of(static_cast<const void*>(args.bytes));
  HostCall derived = after;
  if (entry.derived >= 0 && views[entry.derived].present()) {
    for (int i = roles.inputs; i < roles.total(); ++i)
      for (int64_t e = 0; i != entry.derived && e < views[i].numel(); ++e)
        views_of(derived.args())[i].as<double>()[e] = element(got[i], views[i].dtype, e);
    entry.derive(derived.args());
  }

  std::string problem;
  for (int i = roles.inputs; i < roles.total(); ++i) {
    const TensorView& view = views[i];
    if (!view.present()) continue;
    const HostCall& truth = i == entry.derived ? derived : after;
    problem += bench::compare(row.views[i].name, view, got[i], views_of(truth.args())[i], truth.tensors()[i], row.bound,
                              row.bound.magnitude && row.views[i].real ? magnitude.tensors()[i] : Bytes{});
  }
  return problem;
}

// The same bits wherever the tensors lie; but cuDNN and cuBLASLt serve aligned tensors alone, so what graft's own
// kernels compute where one of them computed before is held to the bound.
std::string compare_placements(const Backend& reference, const OpEntry& entry, const OpRow& row, const AnyArgs& args,
                               const HostCall& exact, const WatchedResult& aligned, const WatchedResult& other,
                               const char* when) {
  if (is_a_librarys(aligned.kernel) == is_a_librarys(other.kernel))
    return other.problem + same_outputs(entry.primitive, row, aligned.tensors, other.tensors, when);
  return other.problem + compare_outputs(reference, entry, row, args, exact, other.tensors);
}

std::string check_row(const BackendUnderTest& under_test, const Backend& backend, const Backend& reference,
                      const OpEntry& entry, const OpRow& row, DType dtype) {
  const AnyArgs args = typed_args(entry.primitive, row, dtype);
  const Tensors before = contents(entry.primitive, row, dtype, dtype);
  const auto run = [&](Placement placement) {
    return run_watched(backend, under_test.watch, entry.primitive, args, before, row, placement);
  };

  const WatchedResult aligned = run({.aliased_output = row.aliased_output, .aliases = row.aliases});
  if (!aligned.problem.empty()) return aligned.problem;
  if (aligned.status != row.expected)
    return fmt::format("answers '{}', not '{}'", name_of(aligned.status), name_of(row.expected));
  if (row.expected != Status::ok) return "";
  if (aligned.kernel.empty() && writes_anything(entry.primitive, row)) return "does not say which kernel ran";

  const HostCall exact(entry.primitive, typed_args(entry.primitive, row, DType::f64),
                       contents(entry.primitive, row, dtype, DType::f64));
  std::string problem = compare_outputs(reference, entry, row, args, exact, aligned.tensors);
  const auto compare_with_aligned = [&](const WatchedResult& other, const char* when) {
    return compare_placements(reference, entry, row, args, exact, aligned, other, when);
  };
  problem += compare_with_aligned(run({.elements_off = 1}), "one element further in memory");

  for (const auto& [output, input] : entry.in_place) {
    const TensorView &y = row.view(output), &x = row.view(input);
    if (!y.present() || !x.present() || y.dtype != x.dtype || y.shape != x.shape) continue;
    for (int off : {0, 1})
      problem += compare_with_aligned(run({.elements_off = off, .aliased_output = output, .aliases = input}),
                                      "when computed in place");
  }
  return problem;
}

}  // namespace graft::test
