// Small tensors with numbers in them, and calls of the reference backend.
#pragma once
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/reference/reference_backend.h"

namespace graft::test {

inline constexpr double kInf = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

inline const Backend& reference() {
  static const Backend backend = [] {
    Backend made;
    if (graft_reference_backend(&made) != Status::ok) throw std::runtime_error("no reference backend");
    return made;
  }();
  return backend;
}

template <typename Args>
Status run(const Args& args) {
  CallContext context;
  return reference().run[static_cast<int>(primitive_of<Args>)](&context, &args);
}

// A tensor that owns its numbers. `data` of no numbers is filled with a mark that no result has.
template <typename T = double>
struct Values {
  Shape shape;
  std::vector<T> data;

  explicit Values(const Shape& of, std::vector<T> numbers = {}) : shape(of), data(std::move(numbers)) {
    if (data.empty()) data.assign(static_cast<size_t>(shape.numel()), T{111});
  }
  operator TensorView() { return {data.data(), shape, dtype_of<T>}; }  // NOLINT: reads as an argument
};

// Numbers that are exact in f32 and that pytorch.py makes too: ((i · multiplier + 3) mod 23 − 11) / 8.
template <typename T = double>
Values<T> pattern(const Shape& shape, int64_t multiplier) {
  Values<T> values(shape);
  for (int64_t i = 0; i < shape.numel(); ++i)
    values.data[static_cast<size_t>(i)] = static_cast<T>((i * multiplier + 3) % 23 - 11) / 8;
  return values;
}

// Equal to a relative 1e-12 (f32: 1e-6) of the largest; NaN equals NaN.
template <typename T>
void check_close(const std::vector<T>& actual, const std::vector<double>& expected) {
  REQUIRE(actual.size() == expected.size());
  double largest = 0;
  for (double e : expected)
    if (std::isfinite(e)) largest = std::max(largest, std::abs(e));
  const double bound = (sizeof(T) == 8 ? 1e-12 : 1e-6) * largest;
  for (size_t i = 0; i < actual.size(); ++i) {
    INFO("element " << i << ": " << actual[i] << ", expected " << expected[i]);
    const bool same = std::isnan(expected[i])   ? std::isnan(actual[i])
                      : std::isinf(expected[i]) ? actual[i] == expected[i]
                                                : std::abs(actual[i] - expected[i]) <= bound;
    CHECK(same);
  }
}

}  // namespace graft::test
