#include "tests/support/expectations.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace graft::test {
namespace {

using nlohmann::json;

TensorGroup read_group(const json& mode, const char* name) {
  TensorGroup group;
  if (!mode.contains(name)) return group;
  for (const auto& [key, row] : mode.at(name).items()) {
    TensorExpectation& tensor = group[key];
    tensor.shape = row.at("shape").get<std::vector<int64_t>>();
    tensor.f32_error = row.at("f32_error").get<double>();
    tensor.exact.norm = row.at("norm").get<double>();
    tensor.exact.sums = row.at("projections").get<std::array<double, kProjections>>();
  }
  return group;
}

ModeExpectation read_mode(const json& mode) {
  return {read_group(mode, "outputs"), read_group(mode, "gradients"), read_group(mode, "running")};
}

template <typename T>
Difference compare_values(const TensorGroup& group, const std::string& name, std::span<const T> values,
                          double base_bound) {
  const auto found = group.find(name);
  GRAFT_CHECK(found != group.end(), "the expectation has no tensor {}", name);
  const TensorExpectation& expected = found->second;
  int64_t numel = 1;
  for (const int64_t extent : expected.shape) numel *= extent;
  if (static_cast<int64_t>(values.size()) != numel)
    return {std::numeric_limits<double>::infinity(), base_bound,
            fmt::format("{}: {} values, PyTorch has {} = [{}]", name, values.size(), numel,
                        fmt::join(expected.shape, ", "))};

  const Projections actual = project(name, values);
  double squares = 0;
  for (size_t k = 0; k < kProjections; ++k) squares += std::pow(actual.sums[k] - expected.exact.sums[k], 2);
  const double distance = std::max(std::sqrt(squares / kProjections), std::abs(actual.norm - expected.exact.norm));
  Difference result;
  result.error = distance / std::max(expected.exact.norm, 1e-6 * norm_of(group));
  if (!std::isfinite(result.error)) result.error = std::numeric_limits<double>::infinity();
  result.bound = std::max(base_bound, 3 * expected.f32_error);
  if (!(result.error <= result.bound))
    result.text = fmt::format("{}: off by {:.2g}, bound {:.2g} (norm {:.6g}, PyTorch {:.6g}, its f32 is off by {:.2g})",
                              name, result.error, result.bound, actual.norm, expected.exact.norm, expected.f32_error);
  return result;
}

}  // namespace

NetworkExpectation load_expectation(const std::string& network) {
  return read_expectation(std::filesystem::path(GRAFT_SOURCE_DIR) / "tests/expectations/networks" /
                          (network + ".json"));
}

NetworkExpectation read_expectation(const std::filesystem::path& file) {
  std::ifstream stream(file);
  GRAFT_CHECK(stream.good(), "{}: cannot be read; tests/expectations/make_networks.py makes it", file.string());
  const json j = json::parse(stream);
  NetworkExpectation e;
  e.network = j.at("network").get<std::string>();
  e.recipe = {j.at("seed").get<int64_t>(), j.at("gain").get<double>(), j.at("damped").get<std::string>()};
  e.input = j.at("input").get<std::vector<int64_t>>();
  e.labels = j.at("labels").get<std::vector<int64_t>>();
  e.inference = read_mode(j.at("modes").at("inference"));
  e.training = read_mode(j.at("modes").at("training"));
  return e;
}

double norm_of(const TensorGroup& group) {
  double squares = 0;
  for (const auto& [name, tensor] : group) squares += tensor.exact.norm * tensor.exact.norm;
  return std::sqrt(squares);
}

Difference compare(const TensorGroup& group, const std::string& name, std::span<const float> values,
                   double base_bound) {
  return compare_values(group, name, values, base_bound);
}

Difference compare(const TensorGroup& group, const std::string& name, std::span<const double> values,
                   double base_bound) {
  return compare_values(group, name, values, base_bound);
}

}  // namespace graft::test
