// Whole networks against PyTorch: outputs, loss, every gradient, running statistics, from weights both sides compute.
#include "tests/models/network_check.h"

#include <catch2/catch.hpp>

#include "core/ops.h"
#include "core/step_plan.h"
#include "core/tape.h"
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
  Subject(const NetworkExpectation& e, const std::shared_ptr<Device>& device)
      : network(without_chance(make_model(e.network)), device) {
    for (const Network::Entry& entry : network.entries()) {
      const Shape& s = entry.info.shape;
      network.set(entry.info.name,
                  test::hashed_parameter(e.recipe, entry.info.name, std::span(s.extents, static_cast<size_t>(s.rank))));
      if (!entry.info.is_buffer) trained.push_back(&entry);
    }
    const auto& in = e.input;
    images = from_values<float>(device, {in[0], in[2], in[3], in[1]},
                                test::hashed_images_nhwc(e.recipe.seed, in[0], in[1], in[2], in[3]));
    labels = from_values<int64_t>(device, {static_cast<int64_t>(e.labels.size())}, e.labels);
  }
  Network network;
  std::vector<const Network::Entry*> trained;
  Tensor images, labels;
};

void check_mode(const NetworkExpectation& e, const test::ModeExpectation& expected,
                const std::shared_ptr<Device>& device, bool training) {
  CAPTURE(e.network, training, device->description());
  Subject s(e, device);
  s.network.require_gradients([](const Parameter&) { return true; });
  std::vector<Tensor> wrt;
  for (const Network::Entry* entry : s.trained) wrt.push_back(entry->tensor);

  const Graph& graph = s.network.graph();
  const WalkResult walked = s.network.walk({.training = std::vector<bool>(graph.nodes.size(), training),
                                            .given = {{0, s.images}},
                                            .wanted = {graph.outputs[0].node}});
  const Tensor& logits = walked.values[0];
  const Tensor loss = ops::cross_entropy(logits, s.labels);
  const auto grads = gradients(loss, wrt);

  const std::vector<float> loss_value = {static_cast<float>(loss.item())};
  const std::string outputs = test::compare_all(expected.outputs, test::kOutputBound, [&](const std::string& name) {
    return name == "loss" ? loss_value : logits.to_vector<float>();
  });
  CHECK(outputs == "");

  std::map<std::string, std::vector<float>> by_name;
  for (size_t i = 0; i < grads.size(); ++i)
    by_name[s.trained[i]->info.name] = s.network.in_file_order(s.trained[i]->info.name, grads[i]);
  CHECK(by_name.size() == expected.gradients.size());
  CHECK(test::compare_all(expected.gradients, test::kGradientBound,
                          [&](const std::string& name) { return by_name[name]; }) == "");

  for (const PendingStatistics& p : walked.statistics)
    device->run(UpdateRunningStatsArgs{.mean = p.mean,
                                       .var = p.var,
                                       .running_mean = p.running_mean,
                                       .running_var = p.running_var,
                                       .momentum = p.momentum,
                                       .rows = p.rows});
  CHECK(test::compare_all(expected.running, test::kOutputBound,
                          [&](const std::string& name) { return s.network.get(name); }) == "");
}

}  // namespace

namespace graft::test {

void check_network(const std::string& name, const std::shared_ptr<Device>& device) {
  const NetworkExpectation e = test::load_expectation(name);
  check_mode(e, e.inference, device, false);
  check_mode(e, e.training, device, true);
}

}  // namespace graft::test
