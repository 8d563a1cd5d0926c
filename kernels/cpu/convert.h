// Element types and the conversions between them, each rounded once. An element's `value` is exact in a wider type
// (float, double or int64_t); `from` rounds such a value to nearest even, or to an integer toward zero, saturating.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "contract/dtype.h"

namespace graft::cpu {

// An int64_t as a double that rounds further as the integer would: the bits that do not fit leave a sticky last one.
inline double with_sticky_bit(int64_t v) {
  const uint64_t magnitude = v < 0 ? 0 - static_cast<uint64_t>(v) : static_cast<uint64_t>(v);
  if (magnitude < (uint64_t{1} << 53)) return static_cast<double>(v);
  const uint64_t kept = magnitude >> 11 | ((magnitude & 2047) != 0 ? 1 : 0);
  const double d = static_cast<double>(kept) * 2048.0;
  return v < 0 ? -d : d;
}

template <typename T>
struct PlainFloat {
  using Storage = T;
  static T value(T x) { return x; }
  template <typename V>
  static T from(V v) {
    return static_cast<T>(v);
  }
};

template <typename T>
struct Integer {
  using Storage = T;
  static std::conditional_t<(sizeof(T) > 4), T, float> value(T x) {
    return static_cast<std::conditional_t<(sizeof(T) > 4), T, float>>(x);
  }
  template <typename V>
  static T from(V v) {
    if constexpr (std::is_integral_v<V>) {
      return v < std::numeric_limits<T>::min()   ? std::numeric_limits<T>::min()
             : v > std::numeric_limits<T>::max() ? std::numeric_limits<T>::max()
                                                 : static_cast<T>(v);
    } else {
      if (v != v) return 0;
      const auto d = static_cast<double>(v);
      if (d <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
      if (d >= static_cast<double>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
      return static_cast<T>(d);
    }
  }
};

// Sign, exponent, then kFraction bits below the leading one.
template <int kFraction>
struct Float16 {
  using Storage = uint16_t;
  static constexpr int kExponentBits = 15 - kFraction, kBias = (1 << (kExponentBits - 1)) - 1;
  static constexpr uint32_t kInfinity = ((1u << kExponentBits) - 1) << kFraction;

  static float value(uint16_t bits) {
    const uint32_t sign = (bits & 0x8000u) << 16, field = bits >> kFraction & ((1u << kExponentBits) - 1);
    const uint32_t fraction = bits & ((1u << kFraction) - 1);
    if (field == (1u << kExponentBits) - 1)
      return std::bit_cast<float>(sign | 0x7F800000u | fraction << (23 - kFraction));
    if (field != 0 || kBias == 127)
      return std::bit_cast<float>(sign | (field + 127 - kBias) << 23 | fraction << (23 - kFraction));
    const float subnormal = std::ldexp(static_cast<float>(fraction), 1 - kBias - kFraction);
    return sign != 0 ? -subnormal : subnormal;
  }

  // Shifts the significand to the last place it keeps and rounds there; a carry into the exponent is right as it is.
  static uint16_t from(double v) {
    const auto bits = std::bit_cast<uint64_t>(v);
    const auto sign = static_cast<uint32_t>(bits >> 48 & 0x8000u);
    const uint64_t magnitude = bits & 0x7FFFFFFFFFFFFFFFull;
    if (magnitude > 0x7FF0000000000000ull) return static_cast<uint16_t>(sign | kInfinity | 1u << (kFraction - 1));
    const int exponent = static_cast<int>(magnitude >> 52) - 1023;
    if (exponent > kBias) return static_cast<uint16_t>(sign | kInfinity);
    const int shift = 52 - kFraction + (exponent < 1 - kBias ? 1 - kBias - exponent : 0);
    if (shift > 54) return static_cast<uint16_t>(sign);  // less than half of the smallest number, and zero
    const uint64_t significand = (magnitude & 0xFFFFFFFFFFFFFull) | uint64_t{1} << 52;
    const uint64_t kept = significand >> shift, rest = significand & ((uint64_t{1} << shift) - 1);
    const uint64_t half = uint64_t{1} << (shift - 1);
    const uint64_t rounded = kept + ((rest > half || (rest == half && (kept & 1) != 0)) ? 1 : 0);
    // A normal number's leading one adds 1 to the exponent field, which therefore begins one lower.
    const uint64_t field = exponent < 1 - kBias ? 0 : static_cast<uint64_t>(exponent + kBias - 1) << kFraction;
    return static_cast<uint16_t>(sign | static_cast<uint32_t>(field + rounded));
  }
  static uint16_t from(float v) { return from(static_cast<double>(v)); }
  static uint16_t from(int64_t v) { return from(with_sticky_bit(v)); }
};

template <typename F>
void with_element(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64:
      return f(PlainFloat<double>());
    case DType::f32:
      return f(PlainFloat<float>());
    case DType::bf16:
      return f(Float16<7>());
    case DType::f16:
      return f(Float16<10>());
    case DType::i64:
      return f(Integer<int64_t>());
    case DType::u8:
      return f(Integer<uint8_t>());
    case DType::none:
      return;
  }
}

}  // namespace graft::cpu
