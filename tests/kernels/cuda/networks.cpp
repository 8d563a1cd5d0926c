// Whole networks on the CUDA backend whose kernels g++ compiled: the step plan, the compiled trunk, the optimisers. No
// call can go anywhere else: the device is made of these kernels alone.
#include <catch2/catch.hpp>

#include "kernels/cuda/cuda_backend.h"
#include "tests/cuda_on_host/control.h"
#include "tests/kernels/cuda/training.h"

namespace graft::test {

namespace {

void check_all(DType compute, double logits_bound, double update_bound) {
  for (const SmallNetwork& c : small_networks()) {
    cuda_on_host::reset();
    Backend backend;
    REQUIRE(cuda::make_backend(0, &backend) == Status::ok);
    check_training(c, backend, compute, logits_bound, update_bound);
    CHECK(cuda_on_host::take_findings().empty());
  }
}

}  // namespace

TEST_CASE("networks train on the CUDA kernels as on the reference, call by call and as a whole") {
  check_all(DType::f32, 1e-4, 1e-3);
}

TEST_CASE("in bf16 each call is exact to one rounding, and training goes the same way") {
  check_all(DType::bf16, 0.1, 0.3);
}

}  // namespace graft::test
