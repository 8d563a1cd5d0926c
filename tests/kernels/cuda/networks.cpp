// Whole networks on the CUDA backend whose kernels g++ compiled: the step plan, the compiled trunk, the optimisers. No
// call can go anywhere else: the device is made of these kernels alone.
//
// Each call of each step is repeated by the reference in f64, from its own inputs, and lies within the op table's
// bound. And the training as a whole stays beside the reference's.
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/cuda_on_host/control.h"
#include "tests/kernels/cuda/shadow.h"
#include "tests/kernels/cuda/small_networks.h"

using namespace graft;
using namespace graft::train;
using graft::test::ScionSetup;
using graft::test::Shadow;
using graft::test::SmallNetwork;

namespace {

std::shared_ptr<Device> watched_device(Shadow* shadow, DType compute) {
  return test::cuda_device(compute, [&](Backend* backend) { test::watch(backend, shadow); });
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

void check_training(const SmallNetwork& c, DType compute, double logits_bound, double update_bound) {
  INFO(c.name << ", " << name_of(compute));
  Shadow shadow;
  {
    ScionSetup cuda(config_of(c), c.frozen, watched_device(&shadow, compute), c.graph());
    ScionSetup reference(config_of(c), c.frozen, test::reference_device(), c.graph());
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
  CHECK(cuda_on_host::take_findings().empty());
}

}  // namespace

TEST_CASE("networks train on the CUDA kernels as on the reference, call by call and as a whole") {
  for (const SmallNetwork& c : test::small_networks()) check_training(c, DType::f32, 1e-4, 1e-3);
}

TEST_CASE("in bf16 each call is exact to one rounding, and training goes the same way") {
  for (const SmallNetwork& c : test::small_networks()) check_training(c, DType::bf16, 0.1, 0.3);
}
