#include "core/tensor.h"

#include <catch2/catch.hpp>

#include "core/recorder.h"
#include "tests/support/devices.h"

using namespace graft;
using Catch::Matchers::Contains;

TEST_CASE("a tensor gives back the values it was given") {
  const auto device = test::reference_device();
  const Tensor t = from_values<float>(device, {2, 3}, {1, 2, 3, 4, 5, 6});
  CHECK(t.to_vector<float>() == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(t.rows(1, 1).to_vector<float>() == std::vector<float>{4, 5, 6});
  CHECK(t.viewed_as({3, 2}).rows(2, 1).to_vector<float>() == std::vector<float>{5, 6});
  CHECK(full(device, {1}, 2.5).item() == 2.5);
  CHECK(full(device, {1}, 3, DType::i64).item() == 3);
}

TEST_CASE("an empty tensor is a tensor") {
  const auto device = test::reference_device();
  const Tensor t = empty(device, {0, 5, 5, 3});
  CHECK(t.defined());
  CHECK(t.view().present());
  CHECK(t.to_vector<float>().empty());
  CHECK_FALSE(Tensor{}.view().present());
}

TEST_CASE("wrong use of a tensor is an error that says what is wrong") {
  const auto device = test::reference_device();
  const Tensor t = empty(device, {2, 3});
  CHECK_THROWS_WITH(t.viewed_as({4, 2}), Contains("[2, 3]") && Contains("[4, 2]"));
  CHECK_THROWS_WITH(t.rows(1, 2), Contains("rows 1 to 3"));
  CHECK_THROWS_WITH(t.to_vector<double>(), Contains("f32") && Contains("f64"));
  CHECK_THROWS_WITH(t.item(), Contains("one element"));
  CHECK_THROWS_WITH(empty(device, {int64_t{1} << 40, int64_t{1} << 40}), Contains("too large"));
  CHECK_THROWS_WITH(empty(device, {2, -1}), Contains("[2, -1]"));
  CHECK_THROWS_WITH(empty(nullptr, {2}), Contains("device"));
  CHECK_THROWS_WITH(empty(device, {2}, DType::i64).set_requires_grad(true), Contains("i64"));
}

TEST_CASE("an error names the layer it happened in") {
  const LayerScope outer("layer1.0");
  {
    const LayerScope inner("layer1.0.conv1");
    CHECK_THROWS_WITH(fail("conv2d: {}", 7), "layer1.0.conv1: conv2d: 7");
  }
  CHECK_THROWS_WITH(fail("x"), "layer1.0: x");
}

TEST_CASE("a recorded tensor has no values") {
  const auto device = test::reference_device();
  Recorder recorder(device);
  const Tensor t = full(device, {2}, 1);
  CHECK_THROWS_WITH(t.to_vector<float>(), Contains("recorded"));
  CHECK(recorder.finish().calls.size() == 1);
}
