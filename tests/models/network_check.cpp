// Whole networks against PyTorch: outputs, loss, every gradient, running statistics, from weights both sides compute.
#include "tests/models/network_check.h"

#include <catch2/catch.hpp>

#include "core/ops.h"
#include "core/step_plan.h"
#include "core/tape.h"
#include "models/compile.h"
#include "models/network.h"
#include "models/registry.h"
#include "tests/support/devices.h"
#include "tests/support/expectations.h"

using namespace graft;
using namespace graft::models;
using test::NetworkExpectation;

namespace {

// The network with hashed weights, its images and labels.
struct Subject {
  Subject(const NetworkExpectation& e, const std::shared_ptr<Device>& device, DType dtype)
      : network(without_chance(make_model(e.network)), device, dtype) {
    for (const Network::Entry& entry : network.entries()) {
      const Shape& s = entry.info.shape;
      network.set(entry.info.name,
                  test::hashed_parameter(e.recipe, entry.info.name, std::span(s.extents, static_cast<size_t>(s.rank))));
      if (!entry.info.is_buffer) trained.push_back(&entry);
    }
    const auto& in = e.input;
    const Tensor pixels = from_values<float>(device, {in[0], in[2], in[3], in[1]},
                                             test::hashed_images_nhwc(e.recipe.seed, in[0], in[1], in[2], in[3]));
    images = empty(device, pixels.shape(), dtype);
    device->run(CastArgs{.x = pixels, .y = images});
    labels = from_values<int64_t>(device, {static_cast<int64_t>(e.labels.size())}, e.labels);
  }
  Network network;
  std::vector<const Network::Entry*> trained;
  Tensor images, labels;
};

// In f64 nothing but the last rounding to f32 may differ.
constexpr double kExactBound = 1e-6;

void forget_f32_errors(test::ModeExpectation& mode) {
  for (test::TensorGroup* group : {&mode.outputs, &mode.gradients, &mode.running})
    for (auto& [name, tensor] : *group) tensor.f32_error = 0;
}

std::vector<float> as_f32(const Tensor& t) {
  if (t.dtype() == DType::f32) return t.to_vector<float>();
  const auto values = t.to_vector<double>();
  return {values.begin(), values.end()};
}

// The same network folded, fused and packed.
void check_compiled(const NetworkExpectation& e, const test::ModeExpectation& expected, const Subject& s) {
  const Graph& graph = s.network.graph();
  const PieceRequest request{
      .taps = {graph.outputs[0].node}, .batch = e.input[0], .height = e.input[2], .width = e.input[3]};
  const CompiledPiece piece(s.network, make_plan(graph, request));
  const Tensor logits = empty(s.network.device(), piece.output_shape(0));
  const void* input = s.images.view().data;
  void* output = logits.view().data;
  piece.run({&input, 1}, {&output, 1});
  const test::Difference difference =
      test::compare(expected.outputs, "logits", std::span<const float>(logits.to_vector<float>()), test::kOutputBound);
  INFO("compiled");
  CHECK(difference.text == "");
}

void check_mode(const NetworkExpectation& e, const test::ModeExpectation& expected,
                const std::shared_ptr<Device>& device, DType dtype, bool training) {
  CAPTURE(e.network, training, device->description());
  Subject s(e, device, dtype);
  s.network.require_gradients([](const Parameter&) { return true; });
  std::vector<Tensor> wrt;
  for (const Network::Entry* entry : s.trained) wrt.push_back(entry->tensor);

  const Graph& graph = s.network.graph();
  const WalkResult walked = s.network.walk({.training = std::vector<bool>(graph.nodes.size(), training),
                                            .given = {{0, s.images}},
                                            .wanted = {graph.outputs[0].node}});
  const Tensor& logits = walked.values[0];
  const Tensor loss = ops::cross_entropy(logits, s.labels);
  if (!training && dtype == DType::f32) check_compiled(e, expected, s);
  const auto grads = gradients(loss, wrt);

  const std::vector<float> loss_value = {static_cast<float>(loss.item())};
  const double output_bound = dtype == DType::f64 ? kExactBound : test::kOutputBound;
  const double gradient_bound = dtype == DType::f64 ? kExactBound : test::kGradientBound;
  const std::vector<float> logit_values = as_f32(logits);
  const std::string outputs = test::compare_all(expected.outputs, output_bound, [&](const std::string& name) {
    return name == "loss" ? loss_value : logit_values;
  });
  CHECK(outputs == "");

  std::map<std::string, std::vector<float>> by_name;
  for (size_t i = 0; i < grads.size(); ++i)
    by_name[s.trained[i]->info.name] = s.network.in_file_order(s.trained[i]->info.name, grads[i]);
  CHECK(by_name.size() == expected.gradients.size());
  CHECK(test::compare_all(expected.gradients, gradient_bound, [&](const std::string& name) { return by_name[name]; }) ==
        "");

  for (const PendingStatistics& p : walked.statistics)
    device->run(UpdateRunningStatsArgs{.mean = p.mean,
                                       .var = p.var,
                                       .running_mean = p.running_mean,
                                       .running_var = p.running_var,
                                       .momentum = p.momentum,
                                       .rows = p.rows});
  CHECK(test::compare_all(expected.running, output_bound,
                          [&](const std::string& name) { return s.network.get(name); }) == "");
}

}  // namespace

namespace graft::test {

void check_network(const std::string& name, const std::shared_ptr<Device>& device, DType dtype) {
  NetworkExpectation e = test::load_expectation(name);
  if (dtype == DType::f64) {
    forget_f32_errors(e.inference);
    forget_f32_errors(e.training);
  }
  check_mode(e, e.inference, device, dtype, false);
  check_mode(e, e.training, device, dtype, true);
}

}  // namespace graft::test
