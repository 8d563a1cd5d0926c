#include "tests/kernels/cuda/host_run_device.h"

#include <catch2/catch.hpp>

#include "kernels/cuda/cuda_backend.h"
#include "tests/cuda_on_host/control.h"

namespace graft::test {

std::shared_ptr<Device> cuda_device(DType compute, const std::function<void(Backend*)>& change) {
  cuda_on_host::reset();
  Backend backend;
  REQUIRE(cuda::make_backend(0, &backend) == Status::ok);
  if (change) change(&backend);
  auto device = Device::create(backend);
  device->set_compute_type(compute);
  return device;
}

}  // namespace graft::test
