// Conversions between element types as CastArgs defines them: rounded once, to nearest even; to integers toward zero,
// saturating, NaN to 0.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/cuda/platform.h"

namespace graft::cuda {

template <typename T>
inline constexpr bool kIs16BitFloat = std::is_same_v<T, __nv_bfloat16> || std::is_same_v<T, __half>;

// Rounded to odd (Boldo & Melquiond 2008): of the two neighbours of an inexact value the one whose last bit is 1. It
// lies on no tie of a format with two bits less, and so rounding it to nearest there is rounding x itself.
__host__ __device__ inline float rounded_to_odd(double x) {
  float nearest = static_cast<float>(x);
  if (static_cast<double>(nearest) == x) return nearest;
  uint32_t bits;
  memcpy(&bits, &nearest, sizeof(bits));
  if (fabs(static_cast<double>(nearest)) > fabs(x)) --bits;  // toward zero; from infinity to the largest number
  bits |= 1;
  memcpy(&nearest, &bits, sizeof(bits));
  return nearest;
}
__host__ __device__ inline double rounded_to_odd(int64_t x) {
  constexpr int64_t kExact = int64_t{1} << 53;
  if (-kExact <= x && x <= kExact) return static_cast<double>(x);
  return static_cast<double>((x >> 11) | ((x & 2047) != 0)) * 2048;
}

template <typename To, typename From>
__host__ __device__ inline To saturated(From x) {
  constexpr bool kWide = std::is_same_v<To, int64_t>;
  if constexpr (std::is_integral_v<From>) {
    if constexpr (kWide)
      return static_cast<To>(x);
    else
      return static_cast<To>(x < 0 ? 0 : x > 255 ? 255 : x);
  } else {
    if (x != x) return 0;
    if (x <= static_cast<From>(kWide ? -0x1p63 : 0)) return static_cast<To>(kWide ? INT64_MIN : 0);
    if (x >= static_cast<From>(kWide ? 0x1p63 : 255)) return static_cast<To>(kWide ? INT64_MAX : 255);
    return static_cast<To>(x);
  }
}

template <typename To>
__host__ __device__ inline To nearest_16_bit(float x) {
  if constexpr (std::is_same_v<To, __half>)
    return __float2half_rn(x);
  else
    return __float2bfloat16_rn(x);
}

template <typename To, typename From>
__host__ __device__ inline To converted(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (std::is_same_v<From, __half>) {
    return converted<To>(__half2float(x));  // exact
  } else if constexpr (std::is_same_v<From, __nv_bfloat16>) {
    return converted<To>(__bfloat162float(x));
  } else if constexpr (kIs16BitFloat<To>) {
    if constexpr (std::is_same_v<From, int64_t>)
      return nearest_16_bit<To>(rounded_to_odd(rounded_to_odd(x)));
    else if constexpr (std::is_same_v<From, double>)
      return nearest_16_bit<To>(rounded_to_odd(x));
    else
      return nearest_16_bit<To>(static_cast<float>(x));
  } else if constexpr (std::is_integral_v<To>) {
    return saturated<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace graft::cuda
