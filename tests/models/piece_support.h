// Runs pieces of graphs on the reference backend, with weights made from a hash of name and index.
#pragma once
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "contract/philox.h"
#include "models/compile.h"
#include "models/graph.h"
#include "models/network.h"
#include "models/shapes.h"
#include "tests/support/devices.h"

namespace graft::test {

inline float hashed(uint64_t key, int64_t index) {  // in [-1, 1)
  return 2 * unit_float(philox(key, static_cast<uint64_t>(index), 0).word[0]) - 1;
}

// In file order. Weights keep the size of what passes through; variances stay well above 0.
inline models::ReadWeights hashed_weights(const models::Graph& graph) {
  std::map<std::string, double> gains;
  for (const auto& p : models::parameters_of(graph))
    gains[p.name] = p.shape.rank > 1 ? std::sqrt(3.0 * double(p.shape[0]) / double(p.shape.numel())) : 1.0;
  return [gains](const std::string& name, int64_t first, int64_t count, float* out) {
    const auto gain = gains.at(name);
    uint64_t key = 1469598103934665603u;
    for (char c : name) key = (key ^ static_cast<unsigned char>(c)) * 1099511628211u;
    for (int64_t i = 0; i < count; ++i) {
      const double value = gain * hashed(key, first + i);
      const bool is_factor = name.ends_with("running_var") || (gain == 1.0 && name.ends_with(".weight"));
      out[i] = static_cast<float>(is_factor ? 1 + 0.5 * value : value);
    }
  };
}

using Values = std::vector<std::vector<float>>;

// The request's taps, for hashed inputs.
inline Values run_piece(const models::Graph& graph, const models::PieceRequest& request,
                        const models::RewriteOptions& options = {},
                        const std::shared_ptr<Device>& device = reference_device()) {
  const models::CompiledPiece piece(device, models::make_plan(graph, request, options), hashed_weights(graph));
  Values inputs, outputs;
  std::vector<const void*> in;
  std::vector<void*> out;
  for (size_t i = 0; i < piece.plan().inputs.size(); ++i) {
    inputs.emplace_back(static_cast<size_t>(piece.input_shape(i).numel()));
    for (size_t k = 0; k < inputs[i].size(); ++k) inputs[i][k] = hashed(i + 1, static_cast<int64_t>(k));
  }
  for (size_t i = 0; i < piece.plan().outputs.size(); ++i)
    outputs.emplace_back(static_cast<size_t>(piece.output_shape(i).numel()), std::nanf(""));
  for (auto& v : inputs) in.push_back(v.data());
  for (auto& v : outputs) out.push_back(v.data());
  piece.run(in, out);
  return outputs;
}

// The same values from ops on the reference in f64, node by node: nothing of a piece has a part in them.
inline Values interpret(const models::Graph& graph, const models::PieceRequest& request) {
  const auto device = reference_device();
  models::Network network(graph, device, DType::f64);
  const auto read = hashed_weights(graph);
  for (const auto& entry : network.entries()) {
    std::vector<float> values(static_cast<size_t>(entry.info.shape.numel()));
    read(entry.info.name, 0, entry.info.shape.numel(), values.data());
    network.set(entry.info.name, values);
  }
  const models::Input& size = graph.input();
  const Tensor image = empty(device, {request.batch, size.height, size.width, size.channels}, DType::f64);
  std::vector<double> pixels(static_cast<size_t>(image.numel()));
  for (size_t k = 0; k < pixels.size(); ++k) pixels[k] = hashed(1, static_cast<int64_t>(k));
  image.assign(std::span<const double>(pixels));
  Values values;
  for (const Tensor& t : network.walk({.given = {{0, image}}, .wanted = request.taps}).values) {
    const auto exact = t.to_vector<double>();
    values.emplace_back(exact.begin(), exact.end());
  }
  return values;
}

// ‖a − b‖ / ‖b‖; infinite when one has a NaN or the sizes differ
inline double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    norm += double{b[i]} * b[i];
  }
  if (!std::isfinite(difference)) return INFINITY;
  return difference == 0 ? 0 : std::sqrt(difference / norm);
}

}  // namespace graft::test
