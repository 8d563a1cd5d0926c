#include "tests/kernels/cuda/training.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/kernels/cuda/shadow.h"
#include "tests/train/scion_setup.h"

namespace graft::test {

using namespace graft::train;

namespace {

std::shared_ptr<Device> watched_device(Backend backend, Shadow* shadow, DType compute) {
  watch(&backend, shadow);
  auto device = Device::create(backend);
  device->set_compute_type(compute);
  return device;
}

// What three steps did to a parameter, relative to what they did in the reference.
double distance_of_updates(const ScionSetup& a, const ScionSetup& b) {
  double difference = 0, size = 0;
  for (const TrainedParameter& p : a.trained->entries()) {
    const auto x = a.network.get(p.name), y = b.network.get(p.name), start = b.whole.get(p.name);
    for (size_t i = 0; i < x.size(); ++i) {
      difference += std::pow(double{x[i]} - y[i], 2);
      size += std::pow(double{y[i]} - start[i], 2);
    }
  }
  return std::sqrt(difference / size);
}

}  // namespace

void check_training(const SmallNetwork& c, const Backend& backend, DType compute, double logits_bound,
                    double update_bound) {
  INFO(c.name << ", " << name_of(compute));
  Shadow shadow;
  {
    ScionSetup cuda(config_of(c), c.frozen, watched_device(backend, &shadow, compute), c.graph());
    ScionSetup reference(config_of(c), c.frozen, reference_device(), c.graph());
    for (int step = 0; step < 3; ++step) {
      const auto a = cuda.step(0.01), b = reference.step(0.01);
      INFO("step " << step);
      CHECK(a.loss == Approx(b.loss).epsilon(logits_bound));
      for (size_t i = 0; i < a.logits.size(); ++i) CHECK(std::abs(a.logits[i] - b.logits[i]) < logits_bound);
    }
    CHECK(distance_of_updates(cuda, reference) < update_bound);
    cuda.rootstock->run(cuda.images.data(), 4);
    reference.rootstock->run(reference.images.data(), 4);
    const auto a = cuda.scion->predict(cuda.labels()), b = reference.scion->predict(reference.labels());
    for (size_t i = 0; i < a.logits.size(); ++i) CHECK(std::abs(a.logits[i] - b.logits[i]) < logits_bound);
  }
  for (const std::string& problem : shadow.problems) FAIL_CHECK(problem);
  const int parts = c.micro_batch == 0 ? 1 : 2;
  CHECK(shadow.calls[Primitive::softmax_cross_entropy] == 3 * parts + 1);  // three steps and a prediction
}

}  // namespace graft::test
