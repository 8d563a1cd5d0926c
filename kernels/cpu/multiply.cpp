// Multiply with broadcast over the middle axis (squeeze-and-excite, dropout, stochastic depth), and the sum of products
// that is its gradient by the factor. One pass: x and y once, or x and dy once. Bound by memory.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/multiply.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/reduction-inl.h"
#include "kernels/cpu/workspace.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

constexpr int64_t kChunk = 16384;

Status multiply(CallContext& c, const MultiplyArgs& a) {
  c.kernel = "cpu.multiply." GRAFT_ISA;
  const auto *x = a.x.as<const float>(), *s = a.s.as<const float>();
  auto* y = a.y.as<float>();
  if (a.x.numel() == 0) return Status::ok;
  // repeat 1: factors lie as x does, one run. inner 1: one factor a run. Else a row of factors for each pixel.
  const int64_t outer = a.repeat == 1 ? 1 : a.outer, inner = a.repeat == 1 ? a.outer * a.inner : a.inner;
  const bool one_factor = inner == 1;
  const int64_t row = one_factor ? a.repeat : inner, rows = one_factor ? 1 : a.repeat;
  const int64_t rows_per_task = std::max<int64_t>(1, kChunk / row), row_tasks = ceil_div(rows, rows_per_task);
  const int64_t column_tasks = ceil_div(row, kChunk);
  pool_of(c).parallel_for(outer * row_tasks * column_tasks, [&](int64_t task, int) HWY_ATTR {
    const int64_t column = task % column_tasks * kChunk, r0 = task / column_tasks % row_tasks * rows_per_task;
    const int64_t o = task / column_tasks / row_tasks, end = std::min(row, column + kChunk);
    for (int64_t r = r0; r < std::min(rows, r0 + rows_per_task); ++r) {
      const int64_t base = (o * rows + r) * row;
      for_vectors(column, end, [&](int64_t i, int64_t n) HWY_ATTR {
        const V factor = one_factor ? set(s[o]) : load_up_to(s + o * inner + i, n);
        store_up_to(mul(load_up_to(x + base + i, n), factor), y + base + i, n);
      });
    }
  });
  return Status::ok;
}

Status multiply_reduce(CallContext& c, const MultiplyReduceArgs& a) {
  c.kernel = "cpu.multiply_reduce." GRAFT_ISA;
  const auto *x = a.x.as<const float>(), *dy = a.dy.as<const float>();
  float* partial = Workspace(c.workspace).take<float>(0);
  reduce_runs(
      pool_of(c), a.outer, a.repeat, a.inner, 0.f,
      [=](int64_t i, int64_t n) HWY_ATTR { return mul(load_up_to(x + i, n), load_up_to(dy + i, n)); },
      [](V sum, V v) HWY_ATTR { return add(sum, v); }, [](V sum) HWY_ATTR { return sum_of_lanes(sum); }, partial);
  join_sums(pool_of(c), a.outer, a.repeat, a.inner, partial, 1.0, a.ds.as<float>());
  return Status::ok;
}

int64_t multiply_reduce_workspace(int, const MultiplyReduceArgs& a) {
  return align_up(reduction_floats(a.outer, a.repeat, a.inner) * static_cast<int64_t>(sizeof(float)));
}

}  // namespace

static void enter_kernels(KernelTable& table) {
  enter<MultiplyArgs, multiply>(table);
  enter<MultiplyReduceArgs, multiply_reduce>(table);
  enter_workspace<MultiplyReduceArgs, multiply_reduce_workspace>(table);
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(multiply)
#endif
