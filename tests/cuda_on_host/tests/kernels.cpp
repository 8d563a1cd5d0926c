// Kernels without defects: right in every order of threads and blocks, to the bit, and nothing found.
#include "tests/cuda_on_host/tests/kernels.h"

#include <catch2/catch.hpp>

#include "tests/cuda_on_host/tests/arrays.h"

namespace graft::cuda_on_host::test {
namespace {

// Runs in the three orders; each must give the first one's bits.
template <typename Run>
auto in_every_order(Run run) {
  reset();
  const auto first = run();
  for (const Order order : {Order::reverse, Order::random}) {
    options().order = order;
    options().seed = 7;
    CHECK(run() == first);
  }
  CHECK(take_findings().empty());
  reset();
  return first;
}

}  // namespace

TEST_CASE("row sums by shuffles, shared memory and a barrier") {
  constexpr int kRows = 5, kColumns = 150;
  const auto x = counting(kRows * kColumns);
  const auto y = in_every_order([&] {
    DeviceArray<float> dx(x), dy(kRows);
    must(row_sums(Bug::none, dx.data(), dy.data(), kRows, kColumns, nullptr));
    return dy.values();
  });
  for (int r = 0; r < kRows; ++r) {
    float sum = 0;
    for (int c = 0; c < kColumns; ++c) sum += x[r * kColumns + c];
    CHECK(y[r] == sum);
  }
}

TEST_CASE("a transpose through a tile") {
  constexpr int kRows = 45, kColumns = 70;
  const auto x = counting(kRows * kColumns);
  const auto y = in_every_order([&] {
    DeviceArray<float> dx(x), dy(x.size());
    must(transpose(Bug::none, dx.data(), dy.data(), kRows, kColumns, nullptr));
    return dy.values();
  });
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kColumns; ++c) REQUIRE(y[c * kRows + r] == x[r * kColumns + c]);
}

TEST_CASE("a stencil in shared memory of the launch's size") {
  const auto x = counting(150);
  const auto y = in_every_order([&] {
    DeviceArray<float> dx(x), dy(x.size());
    must(stencil(Bug::none, dx.data(), dy.data(), 150, nullptr));
    return dy.values();
  });
  for (size_t i = 0; i < y.size(); ++i) REQUIRE(y[i] == (i ? x[i - 1] : 0) + x[i] + (i + 1 < x.size() ? x[i + 1] : 0));
}

TEST_CASE("shared memory within a warp, ordered by __syncwarp") {
  const auto x = counting(128);
  const auto y = in_every_order([&] {
    DeviceArray<float> dx(x), dy(x.size());
    must(mirror_warps(Bug::none, dx.data(), dy.data(), 128, nullptr));
    return dy.values();
  });
  for (size_t i = 0; i < y.size(); ++i) REQUIRE(y[i] == x[i / 32 * 32 + 31 - i % 32]);
}

TEST_CASE("halves of a warp with fences of their own") {
  const auto x = counting(32);
  const auto y = in_every_order([&] {
    DeviceArray<float> dx(x), dy(32);
    must(mirror_halves(Bug::none, dx.data(), dy.data(), nullptr));
    return dy.values();
  });
  for (size_t i = 0; i < 32; ++i) CHECK(y[i] == x[(i + 16) % 32]);
}

TEST_CASE("atomics of many blocks into one sum") {
  const std::vector<int> x(1000, 3);
  const auto total = in_every_order([&] {
    DeviceArray<int> dx(x), sum(std::vector<int>{0});
    must(add_to_total(Bug::none, dx.data(), sum.data(), 1000, nullptr));
    return sum.values();
  });
  CHECK(total[0] == 3000);
}

TEST_CASE("16-byte accesses with a tail, and bytes") {
  const auto x = counting(1003);
  CHECK(in_every_order([&] {
          DeviceArray<float> dx(x), dy(x.size());
          must(copy_wide(Bug::none, dx.data(), dy.data(), 1003, nullptr));
          return dy.values();
        }) == x);
  const std::vector<uint8_t> bytes(333, 7);
  CHECK(in_every_order([&] {
          DeviceArray<uint8_t> dx(bytes), dy(bytes.size());
          must(copy_bytes(dx.data(), dy.data(), 333, nullptr));
          return dy.values();
        }) == bytes);
}

TEST_CASE("a pipeline of asynchronous copies") {
  const auto x = counting(512);
  const auto y = in_every_order([&] {
    DeviceArray<float> dx(x), dy(x.size());
    must(double_by_pipeline(Bug::none, dx.data(), dy.data(), 512, nullptr));
    return dy.values();
  });
  for (size_t i = 0; i < y.size(); ++i) REQUIRE(y[i] == 2 * x[i]);
}

TEST_CASE("warp collectives, of whole warps and of parts") {
  const auto out = in_every_order([&] {
    DeviceArray<unsigned> results(32 * 16);
    must(collectives(results.data(), nullptr));
    return results.values();
  });
  for (unsigned lane = 0; lane < 32; ++lane) {
    const unsigned* r = out.data() + lane * 16;
    CHECK(r[0] == 5);
    CHECK(r[1] == lane / 8 * 8 + 1);
    CHECK(r[2] == (lane ^ 3));
    CHECK(r[3] == (lane < 4 ? lane : lane - 4));
    CHECK(r[4] == (lane % 16 + 4 < 16 ? lane + 4 : lane));
    CHECK(r[5] == 0x49249249u);
    CHECK(r[6] == 1);
    CHECK(r[7] == 0);
    const auto eighth = [](unsigned l) { return l < 16 ? l ^ 8 : 60; };  // 20, 40, 60
    CHECK(r[8] == eighth(lane));
    CHECK(r[9] == eighth(31 - lane));
  }
}

}  // namespace graft::cuda_on_host::test
