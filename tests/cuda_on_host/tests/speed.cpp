// Simulated threads a second, in the plain build: the sizes of the kernels' tests follow from it.
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>

#include "tests/cuda_on_host/tests/arrays.h"
#include "tests/cuda_on_host/tests/kernels.h"

namespace graft::cuda_on_host::test {
namespace {

template <typename Launch>
double threads_per_second(const char* name, Launch launch) {
  launch();
  must(cudaDeviceSynchronize());
  const Statistics before = statistics();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 5; ++i) launch();
  must(cudaDeviceSynchronize());
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const double rate = static_cast<double>(statistics().threads - before.threads) / seconds.count();
  std::printf("%-24s %5.2f M threads/s\n", name, rate * 1e-6);
  return rate;
}

}  // namespace

TEST_CASE("speed of the host-run device", "[.full]") {
  reset();
  constexpr int kCount = 1 << 18;
  DeviceArray<float> x(counting(kCount)), y(counting(kCount));
  DeviceArray<int> ones(std::vector<int>(kCount, 1)), total(std::vector<int>{0});
  double slowest = 1e30;
  const auto measure = [&](const char* name, auto launch) {
    slowest = std::min(slowest, threads_per_second(name, launch));
  };
  measure("scale", [&] { must(scale(x.data(), 1, 0, kCount, nullptr)); });
  measure("copy by 16 bytes", [&] { must(copy_wide(Bug::none, x.data(), y.data(), kCount, nullptr)); });
  measure("stencil", [&] { must(stencil(Bug::none, x.data(), y.data(), kCount, nullptr)); });
  measure("transpose", [&] { must(transpose(Bug::none, x.data(), y.data(), 512, 512, nullptr)); });
  measure("row sums", [&] { must(row_sums(Bug::none, x.data(), y.data(), 1024, 256, nullptr)); });
  measure("sum by shuffles", [&] { must(add_to_total(Bug::none, ones.data(), total.data(), kCount, nullptr)); });
  CHECK(slowest > 1e5);
}

}  // namespace graft::cuda_on_host::test
