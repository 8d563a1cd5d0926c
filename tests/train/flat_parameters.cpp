#include "train/flat_parameters.h"

#include <catch2/catch.hpp>

#include "tests/support/devices.h"
#include "tests/train/tiny_graph.h"
#include "train/initialise.h"

using namespace graft;
using namespace graft::train;

namespace {

std::vector<float> ramp(int64_t n, float first) {
  std::vector<float> values(static_cast<size_t>(n));
  for (size_t i = 0; i < values.size(); ++i) values[i] = first + static_cast<float>(i);
  return values;
}

}  // namespace

TEST_CASE("flat parameters keep their values, on borders, by group") {
  const auto device = test::reference_device();
  const auto tensor = [&](const Shape& shape, float first) {
    return from_values<float>(device, shape, ramp(shape.numel(), first));
  };
  const FlatParameters flat({{"a", tensor({3, 5}, 100), true},
                             {"b", tensor({33}, 200), false},
                             {"c", tensor({32}, 300), true},
                             {"d", tensor({1}, 400), false}});
  REQUIRE(flat.groups().size() == 2);
  CHECK(flat.groups()[0].decays);
  CHECK(flat.groups()[0].count == 32 + 32);  // a, c
  CHECK_FALSE(flat.groups()[1].decays);
  CHECK(flat.groups()[1].first == 64);
  CHECK(flat.groups()[1].count == 64 + 32);  // b, d
  const float first[] = {100, 200, 300, 400};
  const Shape shapes[] = {{3, 5}, {33}, {32}, {1}};
  for (size_t i = 0; i < 4; ++i) {
    const Tensor& t = flat.entries()[i].tensor;
    CHECK(t.shape() == shapes[i]);
    CHECK(t.to_vector<float>() == ramp(t.numel(), first[i]));
    CHECK(t.storage() == flat.values().storage());
    CHECK(t.byte_offset() % 128 == 0);
  }
  auto between = flat.values().to_vector<float>();
  CHECK(std::count(between.begin(), between.end(), 0.f) == 160 - 15 - 33 - 32 - 1);
  flat.entries()[2].tensor.assign(std::span<const float>(std::vector<float>(32, -7)));
  CHECK(flat.part(flat.values(), flat.groups()[0]).to_vector<float>()[32] == -7);
}

TEST_CASE("a network finds its trained parameters in their new place, frozen ones where they were") {
  const auto device = test::reference_device();
  models::Network network(test::tiny_graph(2), device);
  initialise(network, 1, [](const models::Parameter&) { return true; });
  network.require_gradients([](const models::Parameter& p) { return p.name != "conv2.weight"; });
  const auto weight = network.get("conv1.weight");
  const auto old = network.entry("conv2.weight").tensor.storage();
  const FlatParameters flat(network);
  CHECK(network.entry("conv1.weight").tensor.storage() == flat.values().storage());
  CHECK(network.entry("conv1.weight").tensor.requires_grad());
  CHECK(network.get("conv1.weight") == weight);
  CHECK(network.entry("conv2.weight").tensor.storage() == old);
  for (const TrainedParameter& p : flat.entries()) {
    INFO(p.name);
    CHECK(p.name != "conv2.weight");
    CHECK(p.decays == (p.name == "conv1.weight" || p.name == "fc.weight"));
  }
}

TEST_CASE("without anything to train there is an error, and so with two types") {
  const auto device = test::reference_device();
  CHECK_THROWS_WITH(FlatParameters(std::vector<TrainedParameter>{}), Catch::Contains("nothing to train"));
  CHECK_THROWS_WITH(FlatParameters({{"a", full(device, {1}, 0)}, {"b", full(device, {1}, 0, DType::f64)}}),
                    Catch::Contains("b is f64"));
}
