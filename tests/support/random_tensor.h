// Reproducible tensors for tests.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "contract/philox.h"
#include "core/tensor.h"

namespace graft::test {

// Distinct values in (−scale, scale), none near zero or near another, in random order: so that no ReLU and no maximum
// has a kink within a small step of any of them.
inline std::vector<double> distinct_values(int64_t count, uint64_t seed, double scale = 1) {
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(scale * (2 * (static_cast<double>(i) + 0.5) / static_cast<double>(count) - 1) *
                     (count == 1 ? 0.7 : 1));
  for (double& v : values)
    if (std::abs(v) < 1e-3) v = 0.37 / static_cast<double>(count);
  if (count == 1) values[0] = 0.7 * scale;
  for (int64_t i = count - 1; i > 0; --i)
    std::swap(values[static_cast<size_t>(i)],
              values[philox(seed, static_cast<uint64_t>(i), 7).word[0] % static_cast<uint64_t>(i + 1)]);
  return values;
}

inline Tensor random_tensor(const std::shared_ptr<Device>& device, const Shape& shape, uint64_t seed,
                            DType dtype = DType::f64, double scale = 1) {
  const std::vector<double> values = distinct_values(shape.numel(), seed, scale);
  if (dtype == DType::f64) return from_values<double>(device, shape, values);
  return from_values<float>(device, shape, std::vector<float>(values.begin(), values.end()));
}

}  // namespace graft::test
