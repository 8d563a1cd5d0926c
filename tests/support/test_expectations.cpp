#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/support/expectations.h"

using namespace graft::test;

namespace {

// A group with one tensor of hashed values and their true projections.
struct Sample {
  std::vector<float> values;
  TensorGroup group;
  explicit Sample(double f32_error = 0) {
    const std::vector<int64_t> shape = {8, 125};
    values = hashed_parameter({}, "w.weight", shape);
    group["w.weight"] = {shape, project<float>("w.weight", values), f32_error};
  }
  Difference difference(double bound) const {
    return compare(group, "w.weight", std::span<const float>(values), bound);
  }
};

}  // namespace

TEST_CASE("a tensor compared with itself differs by nothing") {
  const auto d = Sample().difference(1e-5);
  CHECK(d.error == 0);
  CHECK(d.text.empty());
}

TEST_CASE("the projections see an error of any direction at about its size") {
  Sample s;
  const double norm = s.group["w.weight"].exact.norm;
  for (const int element : {0, 499, 999}) {
    Sample one = s;
    one.values[static_cast<size_t>(element)] += static_cast<float>(1e-2 * norm);
    CHECK(one.difference(1e-5).error == Approx(1e-2).epsilon(0.01));  // one element: every product sees all of it
  }
  Sample spread = s;
  for (size_t i = 0; i < spread.values.size(); ++i)
    spread.values[i] += static_cast<float>(1e-2 * norm / std::sqrt(1000.0) * (i % 2 ? 1 : -1));
  CHECK(spread.difference(1e-5).error == Approx(1e-2).epsilon(0.5));
  CHECK(spread.difference(1e-5).text.find("w.weight: off by 0.01") == 0);
}

TEST_CASE("swapped axes and a swapped pair are seen") {
  Sample transposed;
  std::vector<float> swapped(1000);
  for (size_t i = 0; i < 8; ++i)
    for (size_t j = 0; j < 125; ++j) swapped[j * 8 + i] = transposed.values[i * 125 + j];
  transposed.values = swapped;
  CHECK(transposed.difference(1e-5).error > 0.5);  // the norm is the same

  Sample pair;
  std::swap(pair.values[3], pair.values[4]);
  CHECK_FALSE(pair.difference(1e-5).text.empty());
}

TEST_CASE("the bound is the larger of the base and three times PyTorch's own error") {
  Sample s(1e-3);
  for (float& v : s.values) v *= 1.002f;
  CHECK(s.difference(1e-5).bound == 3e-3);
  CHECK(s.difference(1e-5).text.empty());
  for (float& v : s.values) v *= 1.002f;
  CHECK_FALSE(s.difference(1e-5).text.empty());
  CHECK(s.difference(1e-2).text.empty());
}

TEST_CASE("a tiny tensor is measured against a millionth of all") {
  Sample s;
  s.group["huge"].exact.norm = 1e9 * s.group["w.weight"].exact.norm;
  for (float& v : s.values) v *= 1.5f;
  CHECK(s.difference(1e-5).error == Approx(5e-4).epsilon(0.5));
}

TEST_CASE("what cannot be compared never passes") {
  Sample nan;
  nan.values[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isinf(nan.difference(1).error));
  CHECK_FALSE(nan.difference(1).text.empty());
  Sample huge;
  huge.values[7] = std::numeric_limits<float>::infinity();
  CHECK_FALSE(huge.difference(1).text.empty());
  Sample cut;
  cut.values.pop_back();
  CHECK(cut.difference(1).text.find("999 values, PyTorch has 1000 = [8, 125]") != std::string::npos);
  CHECK_THROWS_AS(compare(cut.group, "absent", std::span<const float>(), 1), graft::Error);
  const auto report = compare_all(cut.group, 1, [](const std::string&) { return std::span<const float>(); });
  CHECK(report.find("w.weight: 0 values") == 0);
}

TEST_CASE("every committed expectation can be read and is whole") {
  struct Row {
    const char* name;
    size_t parameters, statistics;
  };
  // Parameters and running statistics as torchvision and the original repositories have them.
  for (const auto& [name, parameters, statistics] :
       {Row{"resnet18", 62, 40}, Row{"resnet50", 161, 106}, Row{"vgg11_bn", 38, 16}, Row{"vgg16", 32, 0},
        Row{"efficientnet_b0", 213, 98}, Row{"efficientnet_b3", 340, 156}, Row{"efficientnet_lite0", 149, 98},
        Row{"resnet20", 59, 38}}) {
    INFO(name);
    const auto e = load_expectation(name);
    CHECK(e.network == name);
    CHECK(e.labels.size() == static_cast<size_t>(e.input.at(0)));
    for (const ModeExpectation* mode : {&e.inference, &e.training}) {
      CHECK(mode->gradients.size() == parameters);
      CHECK(mode->outputs.size() == 2);
      for (const TensorGroup* group : {&mode->outputs, &mode->gradients, &mode->running})
        for (const auto& [key, tensor] : *group) CHECK(std::isfinite(tensor.exact.norm));
    }
    CHECK(e.inference.running.empty());
    CHECK(e.training.running.size() == statistics);
  }
  CHECK_THROWS_AS(load_expectation("no_such_network"), graft::Error);
}
