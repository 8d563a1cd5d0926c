// Whole networks: the GPU beside the CPU where it answers, beside the reference where it trains.
#include <catch2/catch.hpp>
#include <cmath>

#include "models/registry.h"
#include "tests/gpu/gpu.h"
#include "tests/kernels/cuda/training.h"
#include "tests/support/devices.h"
#include "tests/support/random_tensor.h"
#include "train/initialise.h"
#include "train/predictor.h"

namespace graft::test {

namespace {

// Logits of two images, weights drawn from one seed.
std::vector<float> answers(const models::Graph& graph, const std::shared_ptr<Device>& device) {
  models::Network network(graph, device);
  train::initialise(network, 7, [](const models::Parameter&) { return true; });
  const train::Predictor predictor(graph, network.reader(), device, {.batch = 2, .layers = {}});
  const auto values = distinct_values(predictor.input_shape().numel(), 3);
  const std::vector<float> images(values.begin(), values.end());
  return predictor.logits(images.data(), 2);
}

double relative_distance(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(double{a[i]} - b[i], 2);
    size += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / size);  // NaN passes no comparison
}

void check_answers(const models::Graph& graph) {
  INFO(graph.name);
  Device& device = *gpu().device;
  const auto expected = answers(graph, cpu_device());
  CHECK(relative_distance(answers(graph, gpu().device), expected) < 1e-4);
  device.set_compute_type(DType::bf16);  // a few roundings a layer, of 2^-9 each
  const double in_bf16 = relative_distance(answers(graph, gpu().device), expected);
  device.set_compute_type(DType::f32);
  CHECK(in_bf16 < 0.05);
  CHECK(in_bf16 > 1e-6);  // it was not f32
}

}  // namespace

TEST_CASE("whole networks answer on the GPU as on the CPU", "[gpu][networks]") {
  if (!need_gpu()) return;
  for (const char* name : {"resnet18", "resnet50", "vgg16", "efficientnet_b0"}) check_answers(models::make_model(name));
}

TEST_CASE("small networks answer on the GPU as on the CPU", "[gpu][small]") {
  if (!need_gpu()) return;
  for (const SmallNetwork& c : small_networks())
    if (c.frozen.empty()) check_answers(c.graph());
}

TEST_CASE("small networks train on the GPU as on the reference, in f32", "[gpu][networks]") {
  if (!need_gpu()) return;
  for (const SmallNetwork& c : small_networks()) check_training(c, gpu_backend(), DType::f32, 1e-4, 1e-3);
}

TEST_CASE("small networks train on the GPU beside the reference, in bf16", "[gpu][networks]") {
  if (!need_gpu()) return;
  for (const SmallNetwork& c : small_networks()) check_training(c, gpu_backend(), DType::bf16, 0.1, 0.3);
}

TEST_CASE("one small network trains on the GPU as on the reference", "[gpu][small]") {
  if (!need_gpu()) return;
  check_training(small_networks().at(1), gpu_backend(), DType::f32, 1e-4, 1e-3);
}

}  // namespace graft::test
