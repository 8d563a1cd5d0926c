// The access log's numbers, on kernels whose traffic is known by hand.
#include <catch2/catch.hpp>

#include "tests/cuda_on_host/access_log.h"
#include "tests/cuda_on_host/tests/arrays.h"
#include "tests/cuda_on_host/tests/kernels.h"

namespace graft::cuda_on_host::test {
namespace {

template <typename Launch>
KernelAccesses log_of(Launch launch) {
  reset();
  const AccessLog log;
  must(launch());
  must(cudaDeviceSynchronize());
  REQUIRE(log.report().size() == 1);
  return log.report().begin()->second;
}

}  // namespace

TEST_CASE("a copy by 16 bytes asks for the fewest sectors, once") {
  const auto a = log_of([] {
    DeviceArray<float> x(counting(1024)), y(1024);
    const cudaError_t error = copy_wide(Bug::none, x.data(), y.data(), 1024, nullptr);
    return error == cudaSuccess ? cudaDeviceSynchronize() : error;
  });
  CHECK(a.launches == 1);
  CHECK(a.loads.accesses == 8);  // 1024 / 4 threads
  CHECK(a.loads.bytes == 4096);
  CHECK(a.loads.sectors == 128);
  CHECK(a.loads.per_access() == 1.0);
  CHECK(a.loads.reuse() == 1.0);
  CHECK(a.stores.sectors == 128);
}

TEST_CASE("a stride of 8 floats uses an eighth of each sector") {
  const auto a = log_of([] {
    DeviceArray<float> x(counting(1024)), y(128);
    const cudaError_t error = copy_strided(x.data(), y.data(), 128, 8, nullptr);
    return error == cudaSuccess ? cudaDeviceSynchronize() : error;
  });
  CHECK(a.loads.per_access() == 8.0);
  CHECK(a.stores.per_access() == 1.0);
  CHECK(a.loads.reuse() == 1.0);
}

TEST_CASE("a stride of 0 reads one sector in every block") {
  const auto a = log_of([] {
    DeviceArray<float> x(counting(8)), y(256);
    const cudaError_t error = copy_strided(x.data(), y.data(), 256, 0, nullptr);
    return error == cudaSuccess ? cudaDeviceSynchronize() : error;
  });
  CHECK(a.loads.sectors_of_blocks == 4);
  CHECK(a.loads.sectors_of_grid == 1);
  CHECK(a.loads.reuse() == 4.0);
}

TEST_CASE("a walk down the columns of shared memory conflicts, unless its rows are padded") {
  const auto walk = [](bool padded) {
    return log_of([&] {
      DeviceArray<float> y(32);
      const cudaError_t error = walk_shared(padded, y.data(), nullptr);
      return error == cudaSuccess ? cudaDeviceSynchronize() : error;
    });
  };
  CHECK(walk(false).shared_accesses == 64);
  CHECK(walk(false).bank_conflicts == 32 * 31);
  CHECK(walk(true).bank_conflicts == 0);
}

}  // namespace graft::cuda_on_host::test
