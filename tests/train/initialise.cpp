#include "train/initialise.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "models/registry.h"
#include "tests/support/devices.h"

using namespace graft;

TEST_CASE("drawn weights have the spread they should, and depend on the seed alone") {
  const auto device = test::reference_device();
  models::Network a(models::make_model("resnet20"), device), b(models::make_model("resnet20"), device);
  const auto all = [](const models::Parameter&) { return true; };
  train::initialise(a, 1, all);
  train::initialise(b, 1, [](const models::Parameter& p) { return p.name == "layer3.2.conv2.weight"; });
  const auto w = a.get("layer3.2.conv2.weight");
  CHECK(b.get("layer3.2.conv2.weight") == w);
  train::initialise(b, 2, all);
  CHECK(b.get("layer3.2.conv2.weight") != w);

  double mean = 0, square = 0;
  for (float v : w) mean += v, square += double{v} * v;
  mean /= static_cast<double>(w.size());
  const double deviation = std::sqrt(square / static_cast<double>(w.size()) - mean * mean);
  const auto& info = a.entry("layer3.2.conv2.weight").info;
  REQUIRE(info.init.kind == models::Initializer::Kind::normal);
  CHECK(std::abs(mean) < 4 * info.init.scale / std::sqrt(static_cast<double>(w.size())));
  CHECK(deviation == Approx(info.init.scale).epsilon(0.02));

  CHECK(a.get("bn1.weight") == std::vector<float>(16, 1.0f));
  CHECK(a.get("bn1.running_var") == std::vector<float>(16, 1.0f));
  CHECK(a.get("bn1.running_mean") == std::vector<float>(16, 0.0f));
}
