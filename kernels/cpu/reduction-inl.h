// Sums over the middle axis of [outer, count, inner], in two levels: runs of kRun elements in f32 by a fixed pattern,
// runs joined in order in double. Runs are parts of the shape, so threads do not show. Bound by memory: one read.
#if defined(GRAFT_KERNELS_CPU_REDUCTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GRAFT_KERNELS_CPU_REDUCTION_INL_H_
#undef GRAFT_KERNELS_CPU_REDUCTION_INL_H_
#else
#define GRAFT_KERNELS_CPU_REDUCTION_INL_H_
#endif

#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {

inline int64_t run_length(int64_t inner) { return inner == 1 ? 4096 : 256; }
inline int64_t run_count(int64_t count, int64_t inner) { return ceil_div(count, run_length(inner)); }
inline int64_t reduction_floats(int64_t outer, int64_t count, int64_t inner) {
  return outer * run_count(count, inner) * inner;
}

// value(i, n): the n elements at i of [outer · count · inner]. join(a, b) of vectors from `start`; lanes(v) joins one
// vector's lanes. partial[outer][run][inner].
template <typename Value, typename Join, typename Lanes>
HWY_INLINE void reduce_runs(ThreadPool& pool, int64_t outer, int64_t count, int64_t inner, float start, Value&& value,
                            Join&& join, Lanes&& lanes, float* partial) {
  const int64_t runs = run_count(count, inner), length = run_length(inner);
  pool.parallel_for(outer * runs, [&](int64_t task, int) HWY_ATTR {
    const int64_t o = task / runs, first = task % runs * length, end = std::min(count, first + length);
    if (inner == 1) {
      V s0 = set(start), s1 = s0, s2 = s0, s3 = s0;
      const int64_t base = o * count;
      int64_t i = first;
      for (; i + 4 * kLanes <= end; i += 4 * kLanes) {
        s0 = join(s0, value(base + i, kLanes));
        s1 = join(s1, value(base + i + kLanes, kLanes));
        s2 = join(s2, value(base + i + 2 * kLanes, kLanes));
        s3 = join(s3, value(base + i + 3 * kLanes, kLanes));
      }
      V s = join(join(s0, s1), join(s2, s3));
      for (; i < end; i += kLanes) {
        const int64_t n = std::min<int64_t>(kLanes, end - i);
        const V v = hn::IfThenElse(hn::FirstN(F32(), static_cast<size_t>(n)), value(base + i, n), set(start));
        s = join(s, v);
      }
      partial[task] = lanes(s);
      return;
    }
    for_vectors(0, inner, [&](int64_t i, int64_t n) HWY_ATTR {
      V s0 = set(start), s1 = s0;
      int64_t r = first;
      for (; r + 2 <= end; r += 2) {
        s0 = join(s0, value((o * count + r) * inner + i, n));
        s1 = join(s1, value((o * count + r + 1) * inner + i, n));
      }
      if (r < end) s0 = join(s0, value((o * count + r) * inner + i, n));
      store_up_to(join(s0, s1), partial + task * inner + i, n);
    });
  });
}

// y[o, i] = factor · Σ over runs
inline void join_sums(ThreadPool& pool, int64_t outer, int64_t count, int64_t inner, const float* partial,
                      double factor, float* y) {
  const int64_t runs = run_count(count, inner);
  constexpr int64_t kChunk = 1024;
  pool.parallel_for(ceil_div(outer * inner, kChunk), [&](int64_t chunk, int) HWY_ATTR {
    for (int64_t j = chunk * kChunk; j < std::min(outer * inner, (chunk + 1) * kChunk); ++j) {
      const float* from = partial + j / inner * runs * inner + j % inner;
      double sum = 0;
      for (int64_t r = 0; r < runs; ++r) sum += static_cast<double>(from[r * inner]);
      y[j] = static_cast<float>(sum * factor);
    }
  });
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
