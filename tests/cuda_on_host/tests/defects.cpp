// Planted defects: each is found, in the race build and in the address build, by the finder named here.
#include <catch2/catch.hpp>
#include <cstring>

#include "tests/cuda_on_host/tests/arrays.h"
#include "tests/cuda_on_host/tests/kernels.h"

namespace graft::cuda_on_host::test {
namespace {

// A defect that one build cannot see, and why, in the test.
constexpr const char* kUnseen = nullptr;

// `run` is the program with the defect. The text that tells of it, in each build.
void expect_found(const char* in_race_build, const char* in_address_build, const std::function<void()>& run) {
  const Outcome outcome = in_child(run);
  INFO(outcome.text);
  const char* finder = kRaceBuild ? in_race_build : in_address_build;
  if (finder == kUnseen) {
    CHECK(outcome.exit_code == 0);
    return;
  }
  CHECK(outcome.exit_code != 0);
  CHECK(outcome.text.find(finder) != std::string::npos);
}

constexpr const char* kWrong = "wrong result";
constexpr const char* kPoisoned = "AddressSanitizer: use-after-poison";

void compare(const std::vector<float>& got, const std::vector<float>& expected) {
  if (got == expected) return;
  std::fprintf(stderr, "%s\n", kWrong);
  _exit(1);
}

// In the three orders of threads, and with several orders of independent streams.
void in_every_order(const std::vector<float>& expected, const std::function<std::vector<float>()>& run) {
  for (const Order order : {Order::forward, Order::reverse, Order::random})
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      reset();
      options() = {order, seed};
      compare(run(), expected);
    }
}

void run_row_sums(Bug bug) {
  constexpr int kRows = 3, kColumns = 50;
  const auto x = counting(kRows * kColumns);
  std::vector<float> expected(kRows);
  for (int i = 0; i < kRows * kColumns; ++i) expected[i / kColumns] += x[i];
  in_every_order(expected, [&] {
    DeviceArray<float> dx(x), dy(kRows);
    must(row_sums(bug, dx.data(), dy.data(), kRows, kColumns, nullptr));
    return dy.values();
  });
}

void run_transpose(Bug bug) {
  constexpr int kRows = 64, kColumns = 64;
  const auto x = counting(kRows * kColumns);
  std::vector<float> expected(x.size());
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kColumns; ++c) expected[c * kRows + r] = x[r * kColumns + c];
  in_every_order(expected, [&] {
    DeviceArray<float> dx(x), dy(x.size());
    must(transpose(bug, dx.data(), dy.data(), kRows, kColumns, nullptr));
    return dy.values();
  });
}

void run_stencil(Bug bug) {
  const auto x = counting(256, 1);
  std::vector<float> expected(x.size());
  for (size_t i = 0; i < x.size(); ++i) expected[i] = (i ? x[i - 1] : 0) + x[i] + (i + 1 < x.size() ? x[i + 1] : 0);
  in_every_order(expected, [&] {
    DeviceArray<float> dx(x), dy(x.size());
    must(stencil(bug, dx.data(), dy.data(), 256, nullptr));
    return dy.values();
  });
}

void run_pipeline(Bug bug) {
  const auto x = counting(512);
  auto expected = x;
  for (auto& v : expected) v *= 2;
  in_every_order(expected, [&] {
    DeviceArray<float> dx(x), dy(x.size());
    must(double_by_pipeline(bug, dx.data(), dy.data(), 512, nullptr));
    return dy.values();
  });
}

}  // namespace

// ---- barriers and warps

TEST_CASE("defect: a missing barrier before a reduction reads its partial sums") {
  expect_found("uninitialised memory", kWrong, [] { run_row_sums(Bug::missing_barrier); });
}
TEST_CASE("defect: a missing barrier before a transpose reads its tile") {
  expect_found("uninitialised memory", kWrong, [] { run_transpose(Bug::missing_barrier); });
}
TEST_CASE("defect: a missing barrier before a stencil reads its neighbours") {
  expect_found("uninitialised memory", kWrong, [] { run_stencil(Bug::missing_barrier); });
}
TEST_CASE("defect: a missing barrier before a buffer is filled again") {
  expect_found("uninitialised memory", kWrong, [] { run_pipeline(Bug::missing_barrier); });
}
TEST_CASE("defect: a missing barrier before partial sums are written again") {
  expect_found(
      "race: write of 4 bytes at byte 4 of shared array partial (8 bytes) against the read by block 0 thread 0", kWrong,
      [] { run_row_sums(Bug::missing_second_barrier); });
}
TEST_CASE("defect: a missing __syncwarp") {
  expect_found("uninitialised memory", kWrong, [] {
    const auto x = counting(64);
    std::vector<float> expected(64);
    for (size_t i = 0; i < 64; ++i) expected[i] = x[i / 32 * 32 + 31 - i % 32];
    in_every_order(expected, [&] {
      DeviceArray<float> dx(x), dy(64);
      must(mirror_warps(Bug::missing_syncwarp, dx.data(), dy.data(), 64, nullptr));
      return dy.values();
    });
  });
}
TEST_CASE("defect: a fence of half a warp where the whole is needed") {
  expect_found("race: read of 4 bytes at byte 4 of shared array mirrored", kWrong, [] {
    const auto x = counting(32);
    std::vector<float> expected(32);
    for (size_t i = 0; i < 32; ++i) expected[i] = x[(i + 16) % 32];
    in_every_order(expected, [&] {
      DeviceArray<float> dx(x), dy(32);
      must(mirror_halves(Bug::fence_of_half, dx.data(), dy.data(), nullptr));
      return dy.values();
    });
  });
}
TEST_CASE("defect: a missing wait for asynchronous copies") {
  expect_found("uninitialised memory", kWrong, [] { run_pipeline(Bug::missing_wait); });
}
TEST_CASE("defect: an early return before a barrier") {
  expect_found("deadlock in block 0", "deadlock in block 0", [] { run_row_sums(Bug::early_return); });
}
TEST_CASE("defect: a lane that has returned is waited for") {
  expect_found("lane 31 has returned", "lane 31 has returned", [] { run_row_sums(Bug::returned_lane); });
}
TEST_CASE("defect: a wrong mask") {
  expect_found("lacks the lane that calls", "lacks the lane that calls", [] { run_row_sums(Bug::wrong_mask); });
}
TEST_CASE("defect: warps wait at different barriers") {
  expect_found("barrier divergence", "barrier divergence", [] { run_row_sums(Bug::diverging_barriers); });
}

// ---- bounds and values

TEST_CASE("defect: a store beyond the end of global memory") {
  expect_found("out of bounds: write of 4 bytes at byte 12 of device block", kPoisoned,
               [] { run_row_sums(Bug::global_overrun); });
}
TEST_CASE("defect: a load beyond the end of global memory") {
  expect_found("out of bounds: read of 4 bytes", kPoisoned, [] { run_row_sums(Bug::global_read_overrun); });
}
TEST_CASE("defect: an index beyond a shared array") {
  expect_found("out of bounds: write of 4 bytes at byte 8 of shared array partial (8 bytes)", "index 2 out of bounds",
               [] { run_row_sums(Bug::shared_overrun); });
}
TEST_CASE("defect: an index beyond the launch's shared memory") {
  expect_found("of shared array of the launch's size (264 bytes)", kPoisoned,
               [] { run_stencil(Bug::dynamic_shared_overrun); });
}
TEST_CASE("defect: an index beyond a row, but within the array") {
  expect_found("of shared array tile (4224 bytes)", "index 33 out of bounds", [] { run_transpose(Bug::row_overrun); });
}
TEST_CASE("defect: shared memory that was never written") {
  expect_found("read of uninitialised memory, 4 bytes at byte 4 of shared array partial", kWrong,
               [] { run_row_sums(Bug::uninitialised_shared); });
}
TEST_CASE("defect: device memory that was never written") {
  expect_found("read of uninitialised memory, 4 bytes at byte 0 of device block", kWrong, [] {
    DeviceArray<float> x(64);
    must(scale(x.data(), 0, 1, 64, nullptr));
    compare(x.values(), std::vector<float>(64, 1));
  });
}
TEST_CASE("defect: a sum in racing order, across blocks") {  // blocks run in turn: without the hooks the sum is right
  expect_found("race: read of 4 bytes", kUnseen, [] {
    DeviceArray<int> x(std::vector<int>(256, 1)), total(std::vector<int>{0});
    must(add_to_total(Bug::racing_sum, x.data(), total.data(), 256, nullptr));
    total.values();
  });
}
TEST_CASE("defect: a misaligned access of 16 bytes through a wrapper") {
  expect_found("misaligned access of 16 bytes", "misaligned access of 16 bytes", [] {
    DeviceArray<float> x(counting(256)), y(256);
    must(copy_wide(Bug::misaligned, x.data(), y.data(), 256, nullptr));
    must(cudaDeviceSynchronize());
  });
}
TEST_CASE("defect: a misaligned access of 16 bytes without one") {
  expect_found("misaligned access of", "runtime error", [] {
    DeviceArray<float> x(counting(260)), y(260);
    must(copy_wide(Bug::misaligned_plain, x.data(), y.data(), 256, nullptr));
    must(cudaDeviceSynchronize());
  });
}
TEST_CASE("defect: a kernel is given memory of the host") {  // which is there, on the host
  expect_found("memory of the host", kUnseen, [] {
    std::vector<float> x(64, 1);
    must(scale(x.data(), 2, 0, 64, nullptr));
    must(cudaDeviceSynchronize());
  });
}
TEST_CASE("defect: memory is used after it was freed") {
  expect_found("device memory that is freed or was never allocated", kPoisoned, [] {
    void* x = nullptr;
    must(cudaMalloc(&x, 256));
    must(cudaMemset(x, 0, 256));
    must(cudaFree(x));
    must(scale(static_cast<float*>(x), 2, 0, 64, nullptr));
    must(cudaDeviceSynchronize());
  });
}
TEST_CASE("defect: memory is freed twice") {
  expect_found("is freed already", "is freed already", [] {
    void* x = nullptr;
    must(cudaMalloc(&x, 256));
    must(cudaFree(x));
    must(cudaFree(x));
  });
}

// ---- streams

namespace {

// One stream fills, the other scales.
void run_two_streams(bool wait) {
  std::vector<float> expected(64, 6);
  in_every_order(expected, [&] {
    DeviceArray<float> x(std::vector<float>(64, 1));
    must(cudaDeviceSynchronize());
    const TestStream first, second;
    const TestEvent filled;
    must(scale(x.data(), 2, 0, 64, first));
    must(cudaEventRecord(filled, first));
    if (wait) must(cudaStreamWaitEvent(second, filled, 0));
    must(scale(x.data(), 1, 4, 64, second));
    must(cudaDeviceSynchronize());
    return x.values();
  });
}

}  // namespace

TEST_CASE("two streams, ordered by an event") {
  CHECK(in_child([] { run_two_streams(true); }).text.empty());
}
TEST_CASE("defect: a dropped wait for an event") {
  expect_found("another operation that nothing orders before this one", kWrong, [] { run_two_streams(false); });
}
TEST_CASE("defect: a wait for an event that was never recorded") {
  expect_found("an event that was never recorded", "an event that was never recorded", [] {
    const TestStream stream;
    const TestEvent event;
    must(cudaStreamWaitEvent(stream, event, 0));
  });
}
TEST_CASE("defect: memory is freed in another stream while a kernel needs it") {
  const auto run = [] {
    in_every_order(std::vector<float>(1, 0), [] {
      const TestStream first, second;
      void* x = nullptr;
      must(cudaMallocAsync(&x, 256, first));
      must(cudaMemsetAsync(x, 0, 256, first));
      must(cudaStreamSynchronize(first));
      must(scale(static_cast<float*>(x), 2, 0, 64, first));
      must(cudaFreeAsync(x, second));
      must(cudaDeviceSynchronize());
      return std::vector<float>(1, 0);
    });
  };
  expect_found("nothing orders before this one", kPoisoned, run);
}
TEST_CASE("defect: pinned memory is freed before the copy from it ran") {
  expect_found("copy: out of bounds: read", "copy: out of bounds: read", [] {
    DeviceArray<float> x(64);
    const TestStream stream;
    float* host = pinned(64);
    must(cudaMemcpyAsync(x.data(), host, 256, cudaMemcpyHostToDevice, stream));
    must(cudaFreeHost(host));
    must(cudaStreamSynchronize(stream));
  });
}
TEST_CASE("defect: pinned memory is written again before the copy from it ran") {
  expect_found(kWrong, kWrong, [] {
    DeviceArray<float> x(1);
    const TestStream stream;
    float* host = pinned(1);
    *host = 1;
    must(cudaMemcpyAsync(x.data(), host, 4, cudaMemcpyHostToDevice, stream));
    *host = 2;
    must(cudaStreamSynchronize(stream));
    compare(x.values(), {1});
  });
}
TEST_CASE("defect: a result is read before the copy of it ran") {
  expect_found(kWrong, kWrong, [] {
    DeviceArray<float> x(std::vector<float>{5});
    const TestStream stream;
    float* host = pinned(1);
    must(cudaMemcpyAsync(host, x.data(), 4, cudaMemcpyDeviceToHost, stream));
    compare({*host}, {5});
  });
}

// ---- captures

namespace {

// Three steps of x ← rate · x with another rate each, captured once; the rate lies in device memory or, wrongly, in the
// host's hand.
void run_captured_steps(bool rate_from_host) {
  DeviceArray<float> x(std::vector<float>{1}), rate(1);
  const TestStream stream;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t step = nullptr;
  for (const float r : {2.0f, 3.0f, 5.0f}) {
    must(cudaMemcpyAsync(rate.data(), &r, 4, cudaMemcpyHostToDevice, stream));
    if (!step) {
      must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
      must(rate_from_host ? scale(x.data(), r, 0, 1, stream) : scale_by(x.data(), rate.data(), 1, stream));
      must(cudaStreamEndCapture(stream, &graph));
      must(cudaGraphInstantiate(&step, graph, 0));
    }
    must(cudaGraphLaunch(step, stream));
  }
  must(cudaStreamSynchronize(stream));
  compare(x.values(), {30});
}

}  // namespace

TEST_CASE("a captured step whose rate lies in device memory") {
  CHECK(in_child([] { run_captured_steps(false); }).text.empty());
}
TEST_CASE("defect: a learning rate read from the host at capture") {
  expect_found(kWrong, kWrong, [] { run_captured_steps(true); });
}
TEST_CASE("defect: a capture copies from pageable memory") {
  expect_found("pageable memory in a capture", "pageable memory in a capture", [] {
    DeviceArray<float> x(1);
    const float value = 1;
    const TestStream stream;
    must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    must(cudaMemcpyAsync(x.data(), &value, 4, cudaMemcpyHostToDevice, stream));
  });
}

TEST_CASE("a program whose findings nobody took fails") {
  const Outcome outcome = in_child([] {
    const TestEvent event;
    must(cudaEventSynchronize(event));
    std::exit(0);
  });
  CHECK(outcome.exit_code == kFindingsExitCode);
}

}  // namespace graft::cuda_on_host::test
