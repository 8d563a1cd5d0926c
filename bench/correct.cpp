#include "bench/correct.h"

#include <cmath>

#include "bench/compare.h"
#include "bench/operations.h"
#include "core/error.h"
#include "kernels/reference/reference_backend.h"

namespace graft::bench {

namespace {

const Backend& reference() {
  static const Backend backend = [] {
    Backend made;
    GRAFT_CHECK(graft_reference_backend(&made) == Status::ok, "the reference backend cannot be used");
    return made;
  }();
  return backend;
}

// The call in f64, from the same numbers.
HostCall exact_call(const KernelCase& c) {
  AnyArgs args = c.args;
  Tensors tensors = contents_of(c);
  for (int i = 0; i < c.roles().total(); ++i) {
    TensorView& view = views_of(args.bytes)[i];
    Bytes& bytes = tensors[static_cast<size_t>(i)];
    if (!view.present()) continue;
    const bool given = i < c.roles().inputs + c.roles().inouts;
    // A cast's types are what it is about; whole numbers stay as they are.
    const DType was = view.dtype;
    if (is_float(was) && c.primitive != Primitive::cast) view.dtype = DType::f64;
    Bytes wide(static_cast<size_t>(view.bytes()));
    for (int64_t e = 0; given && e < view.numel(); ++e) put_element(wide, view.dtype, e, element(bytes, was, e));
    bytes = std::move(wide);
  }
  return {c.primitive, args, std::move(tensors)};
}

}  // namespace

std::string compare_with_reference(Entrant& entrant, const KernelCase& large) {
  const KernelCase c = smaller(large);
  const std::unique_ptr<Contestant> contestant = entrant.enter(c);
  if (!contestant) return "";
  const Tensors got = contestant->results();

  const HostCall before = exact_call(c);
  HostCall after = before, magnitude = before;
  if (const Status status = after.run(reference()); status != Status::ok)
    throw InternalError(fmt::format("the reference answers '{}' to {}", name_of(status), c.name()));
  magnitude.zero_outputs();
  const Bound bound = bound_of(c.primitive);
  if (bound.magnitude) bound.magnitude(reference(), c.primitive, before.args(), after.args(), magnitude.args());
  std::string problem;
  for (int i = c.roles().inputs; i < c.roles().total(); ++i) {
    const auto at = static_cast<size_t>(i);
    if (got[at].empty()) continue;
    const TensorView& truth = views_of(static_cast<const void*>(after.args()))[i];
    const bool real = truth.dtype == DType::f64;
    problem += compare(fmt::format("output {}", i - c.roles().inputs).c_str(), c.view(i), got[at], truth,
                       after.tensors()[at], bound, bound.magnitude && real ? magnitude.tensors()[at] : Bytes{});
  }
  if (problem.empty()) return "";
  return fmt::format("{}: {}", c.name(), problem.substr(0, problem.size() - 2));
}

std::string compare_results(const KernelCase& c, const Tensors& a, const Tensors& b) {
  for (int i = c.roles().inputs; i < c.roles().total(); ++i) {
    const Bytes &ours = a[static_cast<size_t>(i)], &theirs = b[static_cast<size_t>(i)];
    if (ours.empty() || theirs.empty()) continue;
    const DType type = c.view(i).dtype;
    const int64_t count = c.view(i).numel();
    double largest = 0;
    for (int64_t e = 0; e < count; ++e) largest = std::max(largest, std::abs(element(ours, type, e)));
    const double allowed = largest * (size_of(type) == 2 ? 0.04 : 0.001);
    for (int64_t e = 0; e < count; ++e) {
      const double x = element(ours, type, e), y = element(theirs, type, e);
      if (!(std::abs(x - y) <= allowed))  // a NaN differs
        return fmt::format("output {}[{}] is {:.6g}, graft's is {:.6g}, the largest {:.3g}", i - c.roles().inputs, e, y,
                           x, largest);
    }
  }
  return "";
}

}  // namespace graft::bench
