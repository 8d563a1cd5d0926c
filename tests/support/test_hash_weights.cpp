#include <bit>
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/hash_weights.h"
#include "tests/support/projections.h"

using namespace graft::test;
using nlohmann::json;

namespace {

json samples() {
  std::ifstream file(GRAFT_SOURCE_DIR "/tests/expectations/hash.json");
  return json::parse(file);
}

void check_sample(const json& sample, const std::string& name, std::span<const float> values) {
  INFO(name);
  uint64_t sum = 0;
  for (const float v : values) sum += std::bit_cast<uint32_t>(v);
  CHECK(sum == sample.at("sum_of_bits").get<uint64_t>());
  for (size_t i = 0; i < 4; ++i)
    CHECK(std::bit_cast<uint32_t>(values[i]) == sample.at("first_bits").at(i).get<uint32_t>());

  // The two sides add up in another order, in f64.
  const Projections p = project(name, values);
  CHECK(p.norm == Approx(sample.at("norm").get<double>()).epsilon(1e-12));
  for (size_t k = 0; k < kProjections; ++k)
    CHECK(p.sums[k] == Approx(sample.at("projections").at(k).get<double>()).epsilon(0).margin(1e-11 * p.norm));
}

}  // namespace

TEST_CASE("hashed parameters equal Python's bit for bit") {
  const json all = samples();
  REQUIRE(all.at("tensors").size() == 9);
  for (const json& row : all.at("tensors")) {
    const HashRecipe recipe{row.at("seed").get<int64_t>(), row.at("gain").get<double>(),
                            row.at("damped").get<std::string>()};
    const auto name = row.at("name").get<std::string>();
    check_sample(row, name, hashed_parameter(recipe, name, row.at("shape").get<std::vector<int64_t>>()));
  }
}

TEST_CASE("hashed images equal Python's, with the channels last") {
  const json row = samples().at("image");
  const auto shape = row.at("shape").get<std::vector<int64_t>>();
  const int64_t n = shape[0], c = shape[1], h = shape[2], w = shape[3];
  const auto nhwc = hashed_images_nhwc(row.at("seed").get<int64_t>(), n, c, h, w);
  std::vector<float> nchw;
  for (int64_t image = 0; image < n; ++image)
    for (int64_t channel = 0; channel < c; ++channel)
      for (int64_t pixel = 0; pixel < h * w; ++pixel)
        nchw.push_back(nhwc[static_cast<size_t>((image * h * w + pixel) * c + channel)]);
  check_sample(row, "input", nchw);
}
