// What a tensor of a row holds: a function of the element's number and of a hash of it, uniform in [-1, 1).
#pragma once
#include <cmath>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <vector>

#include "contract/dtype.h"

namespace graft::test {

using Fill = std::function<double(int64_t i, double hash)>;

inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInf = std::numeric_limits<double>::infinity();

// splitmix64's mixer on (stream, i)
inline double unit_hash(uint64_t stream, int64_t i) {
  uint64_t z = (stream << 40) + static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15ull + 0x632BE59BD9B4E019ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  z ^= z >> 31;
  return static_cast<double>(static_cast<int64_t>(z)) * 0x1p-63;
}

inline Fill uniform(double low = -1, double high = 1) {
  return [=](int64_t, double hash) { return low + (high - low) * 0.5 * (hash + 1); };
}

// The given values, again and again.
inline Fill values(std::initializer_list<double> list) {
  return [v = std::vector<double>(list)](int64_t i, double) {
    return v[static_cast<size_t>(i % static_cast<int64_t>(v.size()))];
  };
}

// Multiples of 1 / levels: many equals.
inline Fill quantised(int levels) {
  return [=](int64_t, double hash) { return std::round(hash * levels) / levels; };
}

// Whole numbers in [0, classes).
inline Fill labels(int64_t classes) {
  return [=](int64_t, double hash) { return std::floor((hash + 1) * 0.5 * static_cast<double>(classes)); };
}

// `base`, but each of `special` a few times, one element in `period`.
inline Fill salted(Fill base, std::initializer_list<double> special, int64_t period = 5) {
  return [base = std::move(base), v = std::vector<double>(special), period](int64_t i, double hash) {
    return i % period == period / 2 ? v[static_cast<size_t>(i / period) % v.size()] : base(i, hash);
  };
}

// `base` with one element replaced.
inline Fill with_value_at(int64_t position, double value, Fill base = uniform()) {
  return [position, value, base = std::move(base)](int64_t i, double hash) {
    return i == position ? value : base(i, hash);
  };
}

// What suits an element type when nothing else is asked for.
inline Fill natural(DType dtype) {
  if (dtype == DType::u8) return labels(256);
  if (dtype == DType::bf16 || dtype == DType::f16) return labels(65536);  // a bit pattern, see call.h
  if (dtype == DType::i64) return [](int64_t, double hash) { return std::floor(hash * 1e6); };
  return uniform();
}

}  // namespace graft::test
