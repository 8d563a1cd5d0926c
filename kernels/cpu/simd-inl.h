// The vocabulary of the kernels: one vector of floats, V, of kLanes lanes, for the instruction set being compiled.
// Included once for each by Highway's foreach_target.h; loads and stores never ask for alignment, so results and speed
// classes do not depend on where a tensor lies.
#if defined(GRAFT_KERNELS_CPU_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GRAFT_KERNELS_CPU_SIMD_INL_H_
#undef GRAFT_KERNELS_CPU_SIMD_INL_H_
#else
#define GRAFT_KERNELS_CPU_SIMD_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "kernels/cpu/dispatch.h"

// The last part of a kernel's name.
#undef GRAFT_ISA
#if HWY_TARGET == HWY_AVX3
#define GRAFT_ISA "avx512"
#elif HWY_TARGET == HWY_AVX2
#define GRAFT_ISA "avx2"
#else
#define GRAFT_ISA "sse4"
#endif

#undef GRAFT_UNROLL
#define GRAFT_UNROLL _Pragma("GCC unroll 64")

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::ScalableTag<float>;
using I32 = hn::ScalableTag<int32_t>;
using V = hn::Vec<F32>;
using M = hn::Mask<F32>;
inline constexpr int kLanes = static_cast<int>(HWY_LANES(float));

HWY_INLINE V zero() { return hn::Zero(F32()); }
HWY_INLINE V set(float x) { return hn::Set(F32(), x); }
HWY_INLINE V load(const float* p) { return hn::LoadU(F32(), p); }
HWY_INLINE void store(V v, float* p) { hn::StoreU(v, F32(), p); }

// The first n lanes, 0 <= n <= kLanes; the others are zero, and their memory is not touched.
HWY_INLINE V load_n(const float* p, int64_t n) {
#if HWY_TARGET == HWY_SSE4
  alignas(16) float lanes[4] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return hn::Load(F32(), lanes);
#else
  return hn::MaskedLoad(hn::FirstN(F32(), static_cast<size_t>(n)), F32(), p);
#endif
}
HWY_INLINE void store_n(V v, float* p, int64_t n) {
#if HWY_TARGET == HWY_SSE4
  alignas(16) float lanes[4];
  hn::Store(v, F32(), lanes);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
#else
  hn::BlendedStore(v, hn::FirstN(F32(), static_cast<size_t>(n)), F32(), p);
#endif
}

HWY_INLINE V add(V a, V b) { return hn::Add(a, b); }
HWY_INLINE V sub(V a, V b) { return hn::Sub(a, b); }
HWY_INLINE V mul(V a, V b) { return hn::Mul(a, b); }
HWY_INLINE V fma(V a, V b, V c) { return hn::MulAdd(a, b, c); }      // a·b + c, rounded once where there is an FMA
HWY_INLINE V fnma(V a, V b, V c) { return hn::NegMulAdd(a, b, c); }  // c − a·b

// x limited to [low, high]; NaN stays NaN: maxps and minps return their second operand then.
HWY_INLINE V clamp(V x, V low, V high) { return hn::Min(high, hn::Max(low, x)); }

HWY_INLINE float sum_of_lanes(V v) { return hn::GetLane(hn::SumOfLanes(F32(), v)); }

// f(i, n) for each vector of [begin, end): n = kLanes but for a last, shorter one. `Load` and `Store` below take n.
template <typename Body>
HWY_INLINE void for_vectors(int64_t begin, int64_t end, Body&& body) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) body(i, kLanes);
  if (i < end) body(i, end - i);
}
HWY_INLINE V load_up_to(const float* p, int64_t n) { return n == kLanes ? load(p) : load_n(p, n); }
HWY_INLINE void store_up_to(V v, float* p, int64_t n) { n == kLanes ? store(v, p) : store_n(v, p, n); }

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
