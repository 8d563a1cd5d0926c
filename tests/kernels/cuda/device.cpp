// The backend's device functions: what waits for what, and what an error says.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "kernels/cuda/cuda_backend.h"
#include "tests/cuda_on_host/control.h"
#include "tests/kernels/cuda/recorded_ranges.h"

namespace graft::test {

namespace {

// A backend on a device as new, and floats on it.
struct HostRun {
  Backend backend;
  HostRun() {
    cuda_on_host::reset();
    REQUIRE(cuda::make_backend(0, &backend) == Status::ok);
  }
  ~HostRun() {
    backend.destroy(backend.self);
    cuda_on_host::reset();
  }
  const DeviceFunctions& device() const { return backend.device; }
  void* self() const { return backend.self; }

  float* floats(const std::vector<float>& values) {
    void* memory = nullptr;
    const auto bytes = static_cast<int64_t>(values.size() * sizeof(float));
    REQUIRE(device().allocate(self(), bytes, &memory) == Status::ok);
    REQUIRE(device().copy(self(), nullptr, memory, values.data(), bytes, CopyKind::host_to_device) == Status::ok);
    REQUIRE(device().synchronize(self(), nullptr) == Status::ok);
    return static_cast<float*>(memory);
  }
  std::vector<float> read(const float* memory, size_t count) {
    std::vector<float> values(count);
    REQUIRE(device().synchronize(self(), nullptr) == Status::ok);
    REQUIRE(device().copy(self(), nullptr, values.data(), memory, static_cast<int64_t>(count * sizeof(float)),
                          CopyKind::device_to_host) == Status::ok);
    REQUIRE(device().synchronize(self(), nullptr) == Status::ok);
    return values;
  }
  Status scale(StreamHandle stream, float* x, float* y, int64_t n, double factor) {
    CallContext call{.self = self(), .stream = stream};
    const ScaleArgs args{.x = {x, {n}, DType::f32}, .y = {y, {n}, DType::f32}, .factor = factor};
    return backend.run[static_cast<int>(Primitive::scale)](&call, &args);
  }
};

}  // namespace

TEST_CASE("a stream that waits for an event sees what the other stream wrote before it") {
  for (uint64_t seed : {1, 2, 3, 4, 5, 6, 7, 8}) {
    HostRun run;
    cuda_on_host::options().seed = seed;
    float* x = run.floats({1, 2, 3});
    StreamHandle first = nullptr, second = nullptr;
    EventHandle event = nullptr;
    REQUIRE(run.device().create_stream(run.self(), &first) == Status::ok);
    REQUIRE(run.device().create_stream(run.self(), &second) == Status::ok);
    REQUIRE(run.device().create_event(run.self(), &event) == Status::ok);
    REQUIRE(run.scale(first, x, x, 3, 10) == Status::ok);
    REQUIRE(run.device().record_event(run.self(), event, first) == Status::ok);
    REQUIRE(run.device().wait_event(run.self(), second, event) == Status::ok);
    REQUIRE(run.scale(second, x, x, 3, 0.5) == Status::ok);
    REQUIRE(run.device().synchronize(run.self(), second) == Status::ok);
    CHECK(run.read(x, 3) == std::vector<float>{5, 10, 15});
    run.device().destroy_event(run.self(), event);
    run.device().destroy_stream(run.self(), first);
    run.device().destroy_stream(run.self(), second);
    run.device().release(run.self(), x, 12);
    CHECK(cuda_on_host::take_findings().empty());
  }
}

TEST_CASE("who waits for an event sees what its stream has copied to pinned memory before it") {
  HostRun run;
  float* x = run.floats({1, 2, 3});
  StreamHandle stream = nullptr;
  EventHandle event = nullptr;
  REQUIRE(run.device().create_stream(run.self(), &stream) == Status::ok);
  REQUIRE(run.device().create_event(run.self(), &event) == Status::ok);
  void* pinned = nullptr;
  REQUIRE(run.device().allocate_host(run.self(), 12, &pinned) == Status::ok);
  auto* y = static_cast<float*>(pinned);
  std::fill(y, y + 3, 0.0f);
  REQUIRE(run.scale(stream, x, x, 3, 10) == Status::ok);
  REQUIRE(run.device().copy(run.self(), stream, y, x, 12, CopyKind::device_to_host) == Status::ok);
  REQUIRE(run.device().record_event(run.self(), event, stream) == Status::ok);
  REQUIRE(run.device().synchronize_event(run.self(), event) == Status::ok);
  CHECK(std::vector<float>(y, y + 3) == std::vector<float>{10, 20, 30});
  run.device().release_host(run.self(), pinned);
  CHECK(cuda_on_host::take_findings().empty());
  run.device().destroy_event(run.self(), event);
  run.device().destroy_stream(run.self(), stream);
  run.device().release(run.self(), x, 12);
}

TEST_CASE("a copy reads and writes pinned memory when its turn comes, and pageable memory while it is called") {
  HostRun run;
  float* x = run.floats({0});
  void* pinned = nullptr;
  REQUIRE(run.device().allocate_host(run.self(), 4, &pinned) == Status::ok);
  auto* late = static_cast<float*>(pinned);
  float at_once = 1;
  const auto send = [&](const float* from) {
    return run.device().copy(run.self(), nullptr, x, from, 4, CopyKind::host_to_device);
  };
  *late = 1;
  REQUIRE(send(late) == Status::ok);
  *late = 2;
  CHECK(run.read(x, 1) == std::vector<float>{2});
  REQUIRE(send(&at_once) == Status::ok);
  at_once = 2;
  CHECK(run.read(x, 1) == std::vector<float>{1});
  *late = 7;
  REQUIRE(run.device().copy(run.self(), nullptr, pinned, x, 4, CopyKind::device_to_host) == Status::ok);
  CHECK(*late == 7);
  REQUIRE(run.device().synchronize(run.self(), nullptr) == Status::ok);
  CHECK(*late == 1);
  CHECK(cuda_on_host::take_findings().empty());

  REQUIRE(send(late) == Status::ok);
  run.device().release_host(run.self(), pinned);  // too early
  (void)run.device().synchronize(run.self(), nullptr);
  CHECK_FALSE(cuda_on_host::take_findings().empty());
}

TEST_CASE("too little host memory is an answer, and says how much was asked for") {
  HostRun run;
  cuda_on_host::plant({.allocation = 0});
  void* memory = nullptr;
  CHECK(run.device().allocate_host(run.self(), 4096, &memory) == Status::out_of_memory);
  CHECK(memory == nullptr);
  CHECK_THAT(run.device().last_error(run.self()), Catch::Contains("cudaHostAlloc of 4096 bytes"));
}

TEST_CASE("ranges carry their names and nest") {
  HostRun run;
  test::RecordedRanges ranges;
  run.device().begin_range(run.self(), "step");
  run.device().begin_range(run.self(), "conv1");
  run.device().end_range(run.self());
  CHECK_FALSE(ranges.all_ended());
  run.device().end_range(run.self());
  CHECK(ranges.take() == std::vector<std::string>{"step", "step > conv1"});
  CHECK(ranges.all_ended());
}

TEST_CASE("a captured list of calls runs as often as it is replayed, and not while it is captured") {
  HostRun run;
  float* x = run.floats({1, 2, 3, 4, 5});
  StreamHandle stream = nullptr;
  CaptureHandle capture = nullptr;
  REQUIRE(run.device().create_stream(run.self(), &stream) == Status::ok);
  REQUIRE(run.device().begin_capture(run.self(), stream) == Status::ok);
  REQUIRE(run.scale(stream, x, x, 5, 2) == Status::ok);
  REQUIRE(run.scale(stream, x, x, 5, 3) == Status::ok);
  REQUIRE(run.device().end_capture(run.self(), stream, &capture) == Status::ok);
  CHECK(run.read(x, 5) == std::vector<float>{1, 2, 3, 4, 5});
  for (int i = 0; i < 2; ++i) REQUIRE(run.device().replay(run.self(), stream, capture) == Status::ok);
  REQUIRE(run.device().synchronize(run.self(), stream) == Status::ok);
  CHECK(run.read(x, 5) == std::vector<float>{36, 72, 108, 144, 180});
  run.device().destroy_capture(run.self(), capture);
  run.device().destroy_stream(run.self(), stream);
  run.device().release(run.self(), x, 20);
}

TEST_CASE("too little memory is an answer, says what is free, and leaves the device usable") {
  HostRun run;
  cuda_on_host::plant({.memory_limit = 1 << 20});
  void* memory = nullptr;
  CHECK(run.device().allocate(run.self(), int64_t{2} << 20, &memory) == Status::out_of_memory);
  CHECK(memory == nullptr);
  const std::string text = run.device().last_error(run.self());
  CHECK_THAT(text, Catch::Contains("cudaMalloc of 2097152 bytes") && Catch::Contains("are free"));
  float* x = run.floats({1});
  REQUIRE(run.scale(nullptr, x, x, 1, 4) == Status::ok);
  CHECK(run.read(x, 1) == std::vector<float>{4});
  run.device().release(run.self(), x, 4);
}

TEST_CASE("a launch that fails names the kernel and how it was launched") {
  HostRun run;
  float* x = run.floats({1, 2, 3});
  cuda_on_host::plant({.launch = 0});
  CHECK(run.scale(nullptr, x, x, 3, 2) == Status::device_error);
  CHECK_THAT(run.device().last_error(run.self()), Catch::StartsWith("scale<<<(1,1,1), (256,1,1), 0 bytes>>>: "));
  CHECK(run.scale(nullptr, x, x, 3, 2) == Status::ok);
  CHECK(run.read(x, 3) == std::vector<float>{2, 4, 6});
}

TEST_CASE("a device that is lost says so at every call that follows") {
  HostRun run;
  float* x = run.floats({1, 2, 3});
  cuda_on_host::plant({.operation = 0, .lost = cudaErrorIllegalAddress});
  CHECK(run.scale(nullptr, x, x, 3, 2) == Status::ok);  // queued
  CHECK(run.device().synchronize(run.self(), nullptr) == Status::device_error);
  CHECK_THAT(run.device().last_error(run.self()), Catch::Contains("can no longer be used by this process"));
  void* memory = nullptr;
  CHECK(run.device().allocate(run.self(), 64, &memory) == Status::device_error);
  (void)cuda_on_host::take_findings();
}

TEST_CASE("a copy that fails is an error of the wait behind it") {
  HostRun run;
  float* x = run.floats({1, 2, 3});
  cuda_on_host::plant({.copy = 0});
  float y[3] = {};
  const Status queued = run.device().copy(run.self(), nullptr, y, x, 12, CopyKind::device_to_host);
  const Status waited = run.device().synchronize(run.self(), nullptr);
  CHECK((queued == Status::device_error || waited == Status::device_error));
  (void)cuda_on_host::take_findings();
}

}  // namespace graft::test
