// The runtime: what waits for what, what a capture keeps, what each call refuses, and failures to order.
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/cuda_on_host/tests/arrays.h"
#include "tests/cuda_on_host/tests/kernels.h"

namespace graft::cuda_on_host::test {
namespace {

struct Fresh {  // every test begins with a new device and leaves no finding
  Fresh() { reset(); }
  ~Fresh() {
    CHECK(take_findings().empty());
    reset();
  }
};

constexpr auto kMode = cudaStreamCaptureModeThreadLocal;

}  // namespace

// ---- late as allowed

TEST_CASE("work runs when something waits for it, and then only what that needs") {
  const Fresh fresh;
  DeviceArray<float> x(std::vector<float>(8, 1)), y(std::vector<float>(8, 1));
  float *seen = pinned(8), *other = pinned(8);
  seen[0] = other[0] = -1;
  {
    const TestStream first, second;
    const TestEvent half;
    must(scale(x.data(), 2, 0, 8, first));
    must(cudaMemcpyAsync(seen, x.data(), 32, cudaMemcpyDeviceToHost, first));
    must(cudaEventRecord(half, first));
    must(scale(x.data(), 0, 9, 8, first));
    must(scale(y.data(), 3, 0, 8, second));
    must(cudaMemcpyAsync(other, y.data(), 32, cudaMemcpyDeviceToHost, second));
    CHECK(seen[0] == -1);
    CHECK(cudaStreamQuery(first) == cudaErrorNotReady);

    must(cudaEventSynchronize(half));
    CHECK(seen[0] == 2);
    CHECK(other[0] == -1);
    CHECK(cudaEventQuery(half) == cudaSuccess);
    CHECK(cudaStreamQuery(first) == cudaErrorNotReady);

    must(cudaStreamSynchronize(second));
    CHECK(other[0] == 3);
    must(cudaMemcpyAsync(seen, x.data(), 32, cudaMemcpyDeviceToHost, first));
  }  // streams are destroyed: what they were given still runs
  must(cudaDeviceSynchronize());
  CHECK(seen[0] == 9);
  must(cudaFreeHost(seen));
  must(cudaFreeHost(other));
}

TEST_CASE("who polls is answered at last") {
  const Fresh fresh;
  DeviceArray<float> x(std::vector<float>(8, 1));
  const TestStream stream;
  const TestEvent done;
  must(scale(x.data(), 2, 0, 8, stream));
  must(cudaEventRecord(done, stream));
  CHECK(cudaEventQuery(done) == cudaErrorNotReady);
  int polls = 1;
  while (cudaEventQuery(done) == cudaErrorNotReady) REQUIRE(++polls < 100);
  CHECK(cudaPeekAtLastError() == cudaSuccess);  // not ready is no error
  CHECK(x.values()[0] == 2);
}

TEST_CASE("pageable memory is read at the call, pinned memory when the copy runs") {
  const Fresh fresh;
  DeviceArray<float> x(1), y(1);
  const TestStream stream;
  float pageable = 1, *host = pinned(1);
  *host = 1;
  must(cudaMemcpyAsync(x.data(), &pageable, 4, cudaMemcpyHostToDevice, stream));
  must(cudaMemcpyAsync(y.data(), host, 4, cudaMemcpyHostToDevice, stream));
  pageable = *host = 2;
  must(cudaStreamSynchronize(stream));
  CHECK(x.values()[0] == 1);
  CHECK(y.values()[0] == 2);
  float back = 0;
  must(scale(x.data(), 5, 0, 1, stream));
  must(cudaMemcpyAsync(&back, x.data(), 4, cudaMemcpyDeviceToHost, stream));  // pageable: there when it returns
  CHECK(back == 5);
  must(cudaFreeHost(host));
}

TEST_CASE("streams that nothing orders run in an order of the seed") {
  const Fresh fresh;
  if (kRaceBuild) return;  // which finds that they race: defects.cpp
  bool first_won = false, second_won = false;
  DeviceArray<float> one(std::vector<float>{1}), two(std::vector<float>{2});
  float* host = pinned(1);
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    options().seed = seed;
    const TestStream first, second;
    must(cudaMemcpyAsync(host, one.data(), 4, cudaMemcpyDeviceToHost, first));
    must(cudaMemcpyAsync(host, two.data(), 4, cudaMemcpyDeviceToHost, second));
    must(cudaDeviceSynchronize());
    (*host == 1 ? first_won : second_won) = true;
  }
  must(cudaFreeHost(host));
  CHECK((first_won && second_won));
}

TEST_CASE("the default stream waits for blocking streams and they for it, others for none") {
  const Fresh fresh;
  DeviceArray<float> x(std::vector<float>(4, 1));
  cudaStream_t blocking = nullptr;
  must(cudaStreamCreate(&blocking));
  must(scale(x.data(), 2, 0, 4, blocking));
  must(scale(x.data(), 1, 3, 4, nullptr));
  must(scale(x.data(), 10, 0, 4, blocking));
  must(cudaStreamSynchronize(blocking));
  CHECK(x.values()[0] == 50);
  must(cudaStreamDestroy(blocking));
}

TEST_CASE("memory allocated and freed in stream order") {
  const Fresh fresh;
  const TestStream stream;
  void* memory = nullptr;
  must(cudaMallocAsync(&memory, 400, stream));
  CHECK(reinterpret_cast<uintptr_t>(memory) % 256 == 0);
  must(cudaMemsetAsync(memory, 0, 400, stream));
  must(scale(static_cast<float*>(memory), 1, 7, 100, stream));
  float back = 0;
  must(cudaMemcpyAsync(&back, static_cast<float*>(memory) + 99, 4, cudaMemcpyDeviceToHost, stream));
  CHECK(back == 7);
  CHECK(device_bytes_in_use() == 400);
  must(cudaFreeAsync(memory, stream));
  CHECK(device_bytes_in_use() == 400);
  must(cudaStreamSynchronize(stream));
  CHECK(device_bytes_in_use() == 0);
}

// ---- captures

TEST_CASE("a capture runs nothing, keeps the bytes of arguments and joins branches") {
  const Fresh fresh;
  DeviceArray<float> x(std::vector<float>(4, 1)), y(std::vector<float>(4, 1));
  const TestStream stream, branch;
  const TestEvent fork, join;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t step = nullptr;
  float factor = 2;
  must(cudaStreamBeginCapture(stream, kMode));
  must(scale(x.data(), factor, 0, 4, stream));
  must(cudaEventRecord(fork, stream));
  must(cudaStreamWaitEvent(branch, fork, 0));
  must(scale(y.data(), 3, 0, 4, branch));
  must(scale(x.data(), 1, 1, 4, stream));
  must(cudaEventRecord(join, branch));
  must(cudaStreamWaitEvent(stream, join, 0));
  must(scale_by(y.data(), x.data(), 4, stream));
  factor = 100;
  must(cudaStreamEndCapture(stream, &graph));
  must(cudaGraphInstantiate(&step, graph, 0));
  must(cudaGraphDestroy(graph));
  CHECK(x.values()[0] == 1);
  for (int i = 0; i < 3; ++i) must(cudaGraphLaunch(step, stream));
  must(cudaGraphExecDestroy(step));
  must(cudaStreamSynchronize(stream));
  CHECK(x.values()[0] == 15);               // 1 → 3 → 7 → 15
  CHECK(y.values()[0] == 27 * 3 * 7 * 15);  // three times 3 · x
}

TEST_CASE("what a capture refuses") {
  const Fresh fresh;
  const TestStream stream, other;
  const TestEvent event, outside;
  cudaGraph_t graph = nullptr;
  void* memory = nullptr;
  must(cudaEventRecord(outside, other));
  const auto end = [&] { return cudaStreamEndCapture(stream, &graph); };

  must(cudaStreamBeginCapture(stream, kMode));
  CHECK(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported);
  CHECK(end() == cudaErrorStreamCaptureInvalidated);
  must(cudaStreamBeginCapture(stream, kMode));
  CHECK(cudaMalloc(&memory, 4) == cudaErrorStreamCaptureUnsupported);
  CHECK(end() == cudaErrorStreamCaptureInvalidated);
  must(cudaStreamBeginCapture(stream, kMode));
  CHECK(cudaDeviceSynchronize() == cudaErrorStreamCaptureUnsupported);
  CHECK(end() == cudaErrorStreamCaptureInvalidated);
  must(cudaStreamBeginCapture(stream, kMode));
  must(cudaEventRecord(event, stream));
  CHECK(cudaEventSynchronize(event) == cudaErrorCapturedEvent);
  CHECK(end() == cudaErrorStreamCaptureInvalidated);
  must(cudaStreamBeginCapture(stream, kMode));
  CHECK(cudaStreamWaitEvent(stream, outside, 0) == cudaErrorStreamCaptureIsolation);
  CHECK(end() == cudaErrorStreamCaptureInvalidated);

  must(cudaStreamBeginCapture(stream, kMode));  // a branch that does not come back
  must(cudaEventRecord(event, stream));
  must(cudaStreamWaitEvent(other, event, 0));
  must(launch_nothing(1, 32, 0, other));
  CHECK(cudaStreamEndCapture(other, &graph) == cudaErrorStreamCaptureUnmatched);
  CHECK(end() == cudaErrorStreamCaptureInvalidated);
  must(cudaStreamBeginCapture(stream, kMode));
  must(cudaEventRecord(event, stream));
  must(cudaStreamWaitEvent(other, event, 0));
  must(launch_nothing(1, 32, 0, other));
  CHECK(end() == cudaErrorStreamCaptureUnjoined);
  CHECK(end() == cudaErrorIllegalState);
  CHECK(cudaStreamBeginCapture(nullptr, kMode) == cudaErrorStreamCaptureUnsupported);
  cudaGetLastError();
}

// ---- what is refused, and failures to order

TEST_CASE("a launch beyond the limits is refused at once") {
  const Fresh fresh;
  CHECK(launch_nothing(0, 32, 0, nullptr) == cudaErrorInvalidConfiguration);
  CHECK(launch_nothing(1, 1025, 0, nullptr) == cudaErrorInvalidConfiguration);
  CHECK(launch_nothing(1, dim3(32, 32, 2), 0, nullptr) == cudaErrorInvalidConfiguration);
  CHECK(launch_nothing(dim3(1, 65536), 32, 0, nullptr) == cudaErrorInvalidConfiguration);
  CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(launch_nothing(1, 1024, 48 << 10, nullptr) == cudaSuccess);
  CHECK(launch_nothing(1, 32, (48 << 10) + 1, nullptr) == cudaErrorInvalidValue);
  const auto set = [](int bytes) {
    return cudaFuncSetAttribute(kernel_that_does_nothing(), cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  };
  CHECK(set((227 << 10) + 1) == cudaErrorInvalidValue);
  must(set(227 << 10));
  CHECK(launch_nothing(1, 32, 227 << 10, nullptr) == cudaSuccess);
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
}

TEST_CASE("out of memory at the n-th allocation, or above a limit, leaves the device usable") {
  const Fresh fresh;
  void *first = nullptr, *second = nullptr;
  plant({.allocation = 1});
  must(cudaMalloc(&first, 100));
  CHECK(cudaMalloc(&second, 100) == cudaErrorMemoryAllocation);
  must(cudaMalloc(&second, 100));
  plant({.memory_limit = 300});
  void* third = nullptr;
  CHECK(cudaMalloc(&third, 101) == cudaErrorMemoryAllocation);
  CHECK(cudaMalloc(&third, ~size_t{0}) == cudaErrorMemoryAllocation);
  size_t free_bytes = 0, total = 0;
  must(cudaMemGetInfo(&free_bytes, &total));
  CHECK((free_bytes == 100 && total == 300));
  must(cudaMalloc(&third, 100));
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
}

TEST_CASE("planted failures: a launch, a copy, a device that is lost, no driver") {
  const Fresh fresh;
  DeviceArray<float> x(std::vector<float>(4, 1));
  plant({.launch = 0});
  CHECK(scale(x.data(), 2, 0, 4, nullptr) == cudaErrorLaunchOutOfResources);
  CHECK(scale(x.data(), 2, 0, 4, nullptr) == cudaSuccess);
  CHECK(x.values()[0] == 2);

  plant({.operation = 1, .lost = cudaErrorECCUncorrectable});
  must(scale(x.data(), 2, 0, 4, nullptr));
  must(scale(x.data(), 2, 0, 4, nullptr));
  CHECK(cudaDeviceSynchronize() == cudaErrorECCUncorrectable);
  void* memory = nullptr;
  CHECK(cudaMalloc(&memory, 4) == cudaErrorECCUncorrectable);
  CHECK(cudaGetLastError() == cudaErrorECCUncorrectable);
  CHECK(cudaGetLastError() == cudaErrorECCUncorrectable);  // for good

  reset();
  float host = 0;
  must(cudaMalloc(&memory, 4));
  plant({.copy = 0});
  CHECK(cudaMemcpy(memory, &host, 4, cudaMemcpyHostToDevice) == cudaErrorUnknown);
  reset();
  plant({.no_driver = true});
  int count = -1;
  CHECK(cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver);
  CHECK(count == -1);
  int version = -1;
  CHECK(cudaDriverGetVersion(&version) == cudaSuccess);
  CHECK(version == 0);
}

TEST_CASE("handles that are none are refused") {
  const Fresh fresh;
  int nothing = 0;
  auto* stream = reinterpret_cast<cudaStream_t>(&nothing);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorInvalidResourceHandle);
  CHECK(launch_nothing(1, 32, 0, stream) == cudaErrorInvalidResourceHandle);
  CHECK(cudaEventRecord(reinterpret_cast<cudaEvent_t>(&nothing), nullptr) == cudaErrorInvalidResourceHandle);
  CHECK(cudaGraphLaunch(reinterpret_cast<cudaGraphExec_t>(&nothing), nullptr) == cudaErrorInvalidResourceHandle);
  CHECK(std::string(cudaGetErrorName(cudaGetLastError())) == "cudaErrorInvalidResourceHandle");
}

TEST_CASE("every launch that ran is listed by its demangled name") {
  const Fresh fresh;
  DeviceArray<int> x(std::vector<int>(100, 1)), total(std::vector<int>{0});
  must(add_to_total(Bug::none, x.data(), total.data(), 100, nullptr));
  must(cudaDeviceSynchronize());
  must(launch_nothing(3, 32, 1000, nullptr));
  must(cudaDeviceSynchronize());
  int found = 0;
  for (const auto& [name, kernel] : launched_kernels()) {
    if (name.find("add_to_total_kernel<(graft::cuda_on_host::test::Bug)0>(int const*, int*, int)") !=
        std::string::npos) {
      CHECK((kernel.most_blocks >= 2 && kernel.most_threads == 64));
      ++found;
    }
    if (name.find("nothing_kernel()") != std::string::npos) {
      CHECK((kernel.most_blocks >= 3 && kernel.most_shared_bytes >= 1000));
      ++found;
    }
  }
  CHECK(found == 2);
}

}  // namespace graft::cuda_on_host::test
