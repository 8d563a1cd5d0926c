// Gradients of the tape against finite differences, in f64 on the reference backend.
#pragma once
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <vector>

#include "core/ops.h"
#include "core/tape.h"
#include "tests/support/random_tensor.h"

namespace graft::test {

using Function = std::function<Tensor(const std::vector<Tensor>&)>;

// L = Σ c·f(inputs) with fixed random c. Each entry of dL/dinput (or 24 random directions where there are more than 150
// entries) must equal the five-point difference (L(−2h) − 8L(−h) + 8L(h) − L(2h)) / 12h within 1e-6 of the largest
// entry.
inline void gradcheck(const Function& f, std::vector<Tensor> inputs, const std::vector<size_t>& checked) {
  for (size_t i : checked) inputs[i].set_requires_grad(true);
  const Tensor y = f(inputs);
  const Tensor c = random_tensor(y.shared_device(), y.shape(), 99);
  std::vector<Tensor> wrt;
  for (size_t i : checked) wrt.push_back(inputs[i]);
  const auto analytic = gradients(y, wrt, c);

  const auto loss = [&] {
    const NoGrad no_grad;
    const auto values = f(inputs).to_vector<double>();
    const auto weights = c.to_vector<double>();
    double total = 0;
    for (size_t k = 0; k < values.size(); ++k) total += values[k] * weights[k];
    return total;
  };
  for (size_t g = 0; g < checked.size(); ++g) {
    const Tensor& input = inputs[checked[g]];
    const auto at = input.to_vector<double>();
    const auto gradient = analytic[g].to_vector<double>();
    REQUIRE(gradient.size() == at.size());
    const bool every = at.size() <= 150;
    std::vector<std::vector<double>> directions;
    for (size_t d = 0; d < (every ? at.size() : 24); ++d) {
      if (every) {
        directions.emplace_back(at.size(), 0.0)[d] = 1;
      } else {
        directions.push_back(distinct_values(static_cast<int64_t>(at.size()), 1000 + d));
      }
    }
    double largest = 0, worst = 0;
    const double h = 1e-4;
    for (const auto& direction : directions) {
      const auto moved = [&](double by) {
        auto values = at;
        for (size_t k = 0; k < values.size(); ++k) values[k] += by * direction[k];
        input.assign(std::span<const double>(values));
        return loss();
      };
      const double numeric = (moved(-2 * h) - 8 * moved(-h) + 8 * moved(h) - moved(2 * h)) / (12 * h);
      double exact = 0;
      for (size_t k = 0; k < at.size(); ++k) exact += gradient[k] * direction[k];
      largest = std::max({largest, std::abs(exact), std::abs(numeric)});
      worst = std::max(worst, std::abs(exact - numeric));
    }
    input.assign(std::span<const double>(at));
    INFO("input " << checked[g] << ", largest " << largest << ", worst difference " << worst);
    CHECK(worst <= 1e-6 * std::max(largest, 1e-3));
  }
}

}  // namespace graft::test
