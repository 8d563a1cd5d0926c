// What the device is asked for and cannot give; and mistakes on purpose, for the tools that look for such.
#include <catch2/catch.hpp>
#include <vector>

#include "core/ops.h"
#include "tests/gpu/gpu.h"

namespace graft::test {

TEST_CASE("memory that is not there is an answer, and the GPU works on", "[gpu][small]") {
  const Gpu* g = need_gpu();
  if (!g) return;
  const Backend backend = gpu_backend();
  void* memory = nullptr;
  CHECK(backend.device.allocate(backend.self, int64_t{1} << 50, &memory) == Status::out_of_memory);
  CHECK(memory == nullptr);
  CHECK_THAT(backend.device.last_error(backend.self), Catch::Contains("are free"));

  CHECK_THROWS_WITH(empty(g->device, {int64_t{1} << 43}), Catch::Contains("memory"));
  const Tensor x = full(g->device, {3}, 2);
  CHECK(x.to_vector<float>() == std::vector<float>{2, 2, 2});
}

TEST_CASE("a list of calls is captured once and replayed with what memory holds by then", "[gpu][small]") {
  const Gpu* g = need_gpu();
  if (!g) return;
  const Backend backend = gpu_backend();
  const Tensor x = full(g->device, {1000}, 1);
  StreamHandle stream = nullptr;
  CaptureHandle capture = nullptr;
  g->device->synchronize();
  REQUIRE(backend.device.create_stream(backend.self, &stream) == Status::ok);
  REQUIRE(backend.device.begin_capture(backend.self, stream) == Status::ok);
  for (double factor : {2.0, 1.5}) {
    CallContext call{.self = backend.self, .stream = stream};
    const ScaleArgs args{.x = x.view(), .y = x.view(), .factor = factor};
    REQUIRE(backend.run[static_cast<int>(Primitive::scale)](&call, &args) == Status::ok);
  }
  REQUIRE(backend.device.end_capture(backend.self, stream, &capture) == Status::ok);
  CHECK(x.to_vector<float>() == std::vector<float>(1000, 1));
  for (float expected : {3.f, 9.f, 27.f}) {
    REQUIRE(backend.device.replay(backend.self, stream, capture) == Status::ok);
    REQUIRE(backend.device.synchronize(backend.self, stream) == Status::ok);
    CHECK(x.to_vector<float>() == std::vector<float>(1000, expected));
  }
  backend.device.destroy_capture(backend.self, capture);
  backend.device.destroy_stream(backend.self, stream);
}

}  // namespace graft::test
