// What PyTorch made of a network with hashed weights (tests/expectations/make_networks.py), and how near a result
// comes.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tests/support/hash_weights.h"
#include "tests/support/projections.h"

namespace graft::test {

struct TensorExpectation {
  std::vector<int64_t> shape;  // PyTorch's
  Projections exact;           // of the f64 values
  double f32_error = 0;        // PyTorch f32's own, relative as `compare` has it
};

using TensorGroup = std::map<std::string, TensorExpectation>;

struct ModeExpectation {
  TensorGroup outputs;    // "logits" [N, classes], "loss" [1]: the mean cross-entropy
  TensorGroup gradients;  // of the loss, by parameter name
  TensorGroup running;    // training mode: running_mean and running_var after one step
};

struct NetworkExpectation {
  std::string network;
  HashRecipe recipe;
  std::vector<int64_t> input;  // [N,C,H,W]
  std::vector<int64_t> labels;
  ModeExpectation inference;  // running statistics
  ModeExpectation training;   // batch statistics
};

inline constexpr double kOutputBound = 1e-5, kGradientBound = 1e-4;

// tests/expectations/networks/<network>.json, or any file of that form.
NetworkExpectation load_expectation(const std::string& network);
NetworkExpectation read_expectation(const std::filesystem::path& file);

double norm_of(const TensorGroup& group);

struct Difference {
  double error = 0;  // |x − x64| as the projections and the norm see it / max(|x64|, 1e-6 · norm of the group)
  double bound = 0;  // max(base bound, 3 · PyTorch f32's own error)
  std::string text;  // empty when error <= bound, else what differs by how much
};

// Values in row-major order of the PyTorch shape. A value that is not finite is an infinite error.
Difference compare(const TensorGroup& group, const std::string& name, std::span<const float> values, double base_bound);
Difference compare(const TensorGroup& group, const std::string& name, std::span<const double> values,
                   double base_bound);

// Every tensor of the group that `values_of` does not give (empty), or gives outside its bound: a line each; empty when
// all is well.
template <typename ValuesOf>
std::string compare_all(const TensorGroup& group, double base_bound, ValuesOf&& values_of) {
  std::string report;
  for (const auto& [name, expected] : group) {
    const Difference difference = compare(group, name, values_of(name), base_bound);
    if (!difference.text.empty()) report += difference.text + "\n";
  }
  return report;
}

}  // namespace graft::test
