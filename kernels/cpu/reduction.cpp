// Reductions over the middle axis: sum, mean, max (reduction-inl.h); the global average pool is the mean over pixels.
// One read of x.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/reduction.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/reduction-inl.h"
#include "kernels/cpu/workspace.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

float larger(float a, float b) { return b > a || b != b ? b : a; }  // NaN wins, and then stays

Status reduce(CallContext& c, const ReduceArgs& a) {
  const int64_t results = a.outer * a.inner;
  const auto* x = a.x.as<const float>();
  auto* y = a.y.as<float>();
  float* partial = Workspace(c.workspace).take<float>(0);
  const auto value = [x](int64_t i, int64_t n) HWY_ATTR { return load_up_to(x + i, n); };

  if (a.reduction != Reduction::max) {
    c.kernel = "cpu.reduce.sum." GRAFT_ISA;
    reduce_runs(
        pool_of(c), a.outer, a.count, a.inner, 0.f, value, [](V s, V v) HWY_ATTR { return add(s, v); },
        [](V s) HWY_ATTR { return sum_of_lanes(s); }, partial);
    const double factor = a.reduction == Reduction::sum ? 1.0
                          : a.count > 0                 ? 1.0 / static_cast<double>(a.count)
                                                        : std::numeric_limits<double>::quiet_NaN();
    join_sums(pool_of(c), a.outer, a.count, a.inner, partial, factor, y);
    return Status::ok;
  }

  c.kernel = "cpu.reduce.max." GRAFT_ISA;
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  reduce_runs(
      pool_of(c), a.outer, a.count, a.inner, kLowest, value,
      [](V s, V v) HWY_ATTR {  // maxps returns its second operand where one is NaN: a NaN in s must be kept
        return hn::IfThenElse(hn::Eq(s, s), hn::Max(s, v), s);
      },
      [](V s) HWY_ATTR {
        float lanes[kLanes], most = kLowest;
        store(s, lanes);
        for (float lane : lanes) most = larger(most, lane);
        return most;
      },
      partial);
  const int64_t runs = run_count(a.count, a.inner);
  for (int64_t j = 0; j < results; ++j) {
    const float* from = partial + j / a.inner * runs * a.inner + j % a.inner;
    float most = runs > 0 ? kLowest : std::numeric_limits<float>::quiet_NaN();
    for (int64_t r = 0; r < runs; ++r) most = larger(most, from[r * a.inner]);
    y[j] = most;
  }
  return Status::ok;
}

int64_t reduce_workspace(int, const ReduceArgs& a) {
  return align_up(reduction_floats(a.outer, a.count, a.inner) * static_cast<int64_t>(sizeof(float)));
}

}  // namespace

static void enter_kernels(KernelTable& table) {
  enter<ReduceArgs, reduce>(table);
  enter_workspace<ReduceArgs, reduce_workspace>(table);
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(reduction)
#endif
