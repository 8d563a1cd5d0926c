// Activations on vectors. relu and relu6 are limits; sigmoid and silu need e^x, a polynomial good to 1e-7 relative.
#if defined(GRAFT_KERNELS_CPU_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GRAFT_KERNELS_CPU_ACTIVATION_INL_H_
#undef GRAFT_KERNELS_CPU_ACTIVATION_INL_H_
#else
#define GRAFT_KERNELS_CPU_ACTIVATION_INL_H_
#endif

#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {

// e^x · 2^kShift, e^x = 2^n · e^r, n = round(x / ln 2), |r| <= ln 2 / 2, e^r by its Taylor series to r^7 (remainder
// below 6e-9). Infinity where the result is too large, zero below e^−87.3 · 2^kShift, NaN stays.
template <int kShift = 0>
HWY_INLINE V exp_of(V x0) {
  const V x = clamp(x0, set(-88.f), set(88.8f - .6931472f * kShift));
  const V n = hn::Round(mul(x, set(1.44269504088896341f)));
  V r = fnma(n, set(0.693145751953125f), x);  // ln 2 in two parts: n times the first is exact
  r = fnma(n, set(1.428606820309417e-6f), r);
  V p = set(1.f / 5040);
  p = fma(p, r, set(1.f / 720));
  p = fma(p, r, set(1.f / 120));
  p = fma(p, r, set(1.f / 24));
  p = fma(p, r, set(1.f / 6));
  p = fma(p, r, set(.5f));
  p = fma(p, r, set(1.f));
  p = fma(p, r, set(1.f));
  // 2^n as two factors, so that n = 128 and the way to infinity need no special case.
  const I32 i32;
  const auto k = hn::Add(hn::ConvertTo(i32, n), hn::Set(i32, kShift));
  const auto half = hn::ShiftRight<1>(k), rest = hn::Sub(k, half), bias = hn::Set(i32, 127);
  const V a = hn::BitCast(F32(), hn::ShiftLeft<23>(hn::Add(half, bias)));
  const V b = hn::BitCast(F32(), hn::ShiftLeft<23>(hn::Add(rest, bias)));
  const V y = mul(mul(p, a), b);
  const V finite = hn::IfThenZeroElse(hn::Lt(x0, set(-87.3f)), y);
  return hn::IfThenElse(hn::Eq(x0, x0), finite, x0);
}

HWY_INLINE V sigmoid_of(V x) { return hn::Div(set(1.f), add(set(1.f), exp_of(hn::Neg(x)))); }

// x / (1 + e^−x), both sides times 2^−8: e^−x then overflows only where the quotient is below the smallest normal
// number. Of −∞ NaN, as x · σ(x) is.
HWY_INLINE V silu_of(V x) { return hn::Div(mul(x, set(0x1p-8f)), add(set(0x1p-8f), exp_of<-8>(hn::Neg(x)))); }

struct Limits {
  float low, high;
};
inline Limits limits_of(Activation a) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (a == Activation::relu) return {0.f, kInfinity};
  if (a == Activation::relu6) return {0.f, 6.f};
  return {-kInfinity, kInfinity};
}
constexpr bool needs_exp(Activation a) { return a == Activation::silu || a == Activation::sigmoid; }

template <Activation A>
HWY_INLINE V activated(V x) {
  if constexpr (A == Activation::relu) return hn::Max(zero(), x);
  if constexpr (A == Activation::relu6) return clamp(x, zero(), set(6.f));
  if constexpr (A == Activation::silu) return silu_of(x);
  if constexpr (A == Activation::sigmoid) return sigmoid_of(x);
  return x;
}

// What relu and relu6 let pass, from y or from what they were given; NaN is not let pass.
template <Activation A>
HWY_INLINE M lets_pass(V saved) {
  const M above = hn::Gt(saved, zero());
  if constexpr (A == Activation::relu6) return hn::And(above, hn::Lt(saved, set(6.f)));
  return above;
}

// dy · act′; `saved` is y, or x for silu.
template <Activation A>
HWY_INLINE V activation_gradient(V saved, V dy) {
  if constexpr (A == Activation::relu || A == Activation::relu6) return hn::IfThenElseZero(lets_pass<A>(saved), dy);
  if constexpr (A == Activation::sigmoid) return mul(dy, mul(saved, sub(set(1.f), saved)));
  if constexpr (A == Activation::silu) {  // σ · (1 + x · (1 − σ))
    const V s = sigmoid_of(saved);
    return mul(dy, mul(s, fma(saved, sub(set(1.f), s), set(1.f))));
  }
  return dy;
}

// Calls f with the activation as a constant, std::integral_constant<Activation, …>.
template <typename F>
HWY_INLINE void with_activation(Activation a, F&& f) {
  switch (a) {
    case Activation::none:
      return f(std::integral_constant<Activation, Activation::none>());
    case Activation::relu:
      return f(std::integral_constant<Activation, Activation::relu>());
    case Activation::relu6:
      return f(std::integral_constant<Activation, Activation::relu6>());
    case Activation::silu:
      return f(std::integral_constant<Activation, Activation::silu>());
    case Activation::sigmoid:
      return f(std::integral_constant<Activation, Activation::sigmoid>());
  }
}

// silu or sigmoid over `rows` short rows, in place: what a product's epilogue calls while they are in L1.
HWY_NOINLINE inline void activate_rows(float* c, int64_t ldc, int64_t rows, int64_t n, Activation a) {
  for (int64_t r = 0; r < rows; ++r, c += ldc)
    for_vectors(0, n, [&](int64_t i, int64_t count) HWY_ATTR {
      const V x = load_up_to(c + i, count);
      store_up_to(a == Activation::silu ? silu_of(x) : sigmoid_of(x), c + i, count);
    });
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
