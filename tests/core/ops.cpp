// What gradients do not show: the order of elements, which values a mask covers, which primitives run.
#include "core/ops.h"

#include <catch2/catch.hpp>

#include "core/tape.h"
#include "tests/support/devices.h"
#include "tests/support/random_tensor.h"

using namespace graft;

TEST_CASE("flatten puts channels first") {
  std::vector<float> pixels(12);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i);
  const Tensor x = from_values<float>(test::reference_device(), {1, 2, 2, 3}, pixels);
  CHECK(ops::flatten(x).to_vector<float>() == std::vector<float>{0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11});
}

TEST_CASE("stochastic depth keeps or drops whole images") {
  const auto d = test::reference_device();
  const ops::RandomSource random{from_values<int64_t>(d, {2}, {7, 0}), 1};
  const auto y = ops::stochastic_depth(full(d, {32, 2, 2, 3}, 1), 0.5, random).to_vector<float>();
  int kept = 0;
  for (size_t image = 0; image < 32; ++image) {
    const std::vector<float> values(y.begin() + static_cast<std::ptrdiff_t>(image * 12),
                                    y.begin() + static_cast<std::ptrdiff_t>(image * 12 + 12));
    CHECK((values == std::vector<float>(12, 0) || values == std::vector<float>(12, 2)));
    kept += values[0] != 0;
  }
  CHECK(kept > 5);
  CHECK(kept < 27);
}

TEST_CASE("dropout has another mask in each layer") {
  const auto d = test::reference_device();
  const Tensor x = full(d, {64}, 1), state = from_values<int64_t>(d, {2}, {7, 0});
  const auto mask = [&](int64_t layer) { return ops::dropout(x, 0.5, {state, layer}).to_vector<float>(); };
  CHECK(mask(1) == mask(1));
  CHECK(mask(1) != mask(2));
}

TEST_CASE("a gradient that leads to nothing wanted is not computed, though its tensor could have one") {
  std::vector<std::string> ran;
  const auto d = test::reference_device();
  Tensor x = test::random_tensor(d, {1, 4, 4, 2}, 1), w = test::random_tensor(d, {3, 3, 3, 2}, 2);
  x.set_requires_grad(true);
  w.set_requires_grad(true);
  const Tensor loss = ops::sum(ops::conv2d(x, w, {}, {}));
  d->observer = [&](Primitive p, const char*) { ran.push_back(name_of(p)); };
  gradients(loss, std::vector<Tensor>{w});
  CHECK(std::count(ran.begin(), ran.end(), "conv2d_backward_weight") == 1);
  CHECK(std::count(ran.begin(), ran.end(), "conv2d_backward_data") == 0);
}
