// A tensor told by seventeen numbers: its norm, and its products with 16 vectors of ones and minus ones whose signs are
// the low 16 bits of a hash (a set bit: minus one). A difference d of two tensors shows as products of mean 0 and
// variance |d|², whatever its direction; so the root mean square of 16 is |d|, give or take 18 %.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "tests/support/hash_weights.h"

namespace graft::test {

inline constexpr int kProjections = 16;

struct Projections {
  double norm = 0;
  std::array<double, kProjections> sums{};
};

// Values in row-major order of the PyTorch shape; summed in double.
template <typename T>
Projections project(const std::string& name, std::span<const T> values) {
  Projections result;
  const uint32_t key = fnv1a("sign:" + name);
  double squares = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double x = static_cast<double>(values[i]);
    const uint32_t signs = hash(key, static_cast<uint32_t>(i));
    squares += x * x;
    for (int k = 0; k < kProjections; ++k)
      result.sums[static_cast<size_t>(k)] += x * (1.0 - 2.0 * static_cast<double>(signs >> k & 1u));
  }
  result.norm = std::sqrt(squares);
  return result;
}

}  // namespace graft::test
