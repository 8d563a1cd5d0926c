// The backend as a whole: what it says of itself, what it refuses, and that predictions may run side by side.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_backend.h"

using namespace graft;

namespace {

struct OwnedBackend : Backend {
  explicit OwnedBackend(CpuOptions options = {}) { status = graft_cpu_backend(&options, this); }
  ~OwnedBackend() {
    if (status == Status::ok) destroy(self);
  }
  OwnedBackend(const OwnedBackend&) = delete;
  Status status;
};

struct MaxIsa {
  explicit MaxIsa(const char* value) { setenv("GRAFT_MAX_ISA", value, 1); }
  ~MaxIsa() { unsetenv("GRAFT_MAX_ISA"); }
};

}  // namespace

TEST_CASE("the cpu backend offers every primitive and says what it runs on") {
  OwnedBackend backend({.threads = 2, .max_isa = CpuIsa::sse4});
  REQUIRE(backend.status == Status::ok);
  CHECK(backend.bytes == sizeof(Backend));
  CHECK(std::string(backend.name) == "cpu");
  CHECK(std::string(backend.device.description(backend.self)) == "SSE4, 2 threads");
  for (int i = 0; i < kPrimitiveCount; ++i) {
    INFO(kPrimitives[i].name);
    CHECK(backend.run[i] != nullptr);
  }
}

TEST_CASE("GRAFT_MAX_ISA lowers the instruction set, never raises it, and a misspelt one is refused") {
  {
    MaxIsa limit("sse4");
    OwnedBackend backend;
    REQUIRE(backend.status == Status::ok);
    CHECK(cpu_isa_of(backend) == CpuIsa::sse4);
  }
  {
    MaxIsa limit("avx512");
    OwnedBackend backend({.threads = 1, .max_isa = CpuIsa::sse4});
    REQUIRE(backend.status == Status::ok);
    CHECK(cpu_isa_of(backend) == CpuIsa::sse4);
  }
  MaxIsa limit("avx-512");
  CHECK(OwnedBackend().status == Status::invalid_argument);
}

TEST_CASE("options out of range are refused") {
  CHECK(OwnedBackend({.threads = -1}).status == Status::invalid_argument);
  CHECK(OwnedBackend({.threads = 1, .max_isa = static_cast<CpuIsa>(3)}).status == Status::invalid_argument);
  CHECK(graft_cpu_backend(nullptr, nullptr) == Status::invalid_argument);
}

TEST_CASE("f64 is unsupported, nonsense an invalid argument") {
  OwnedBackend backend({.threads = 1});
  REQUIRE(backend.status == Status::ok);
  double x = 1, y = 0;
  ActivateArgs args{.x = {&x, {1}, DType::f64}, .y = {&y, {1}, DType::f64}, .activation = Activation::relu};
  CallContext call{.self = backend.self};
  const auto run = backend.run[static_cast<int>(Primitive::activate)];
  CHECK(run(&call, &args) == Status::unsupported);
  args.x.dtype = DType::f32, args.y.dtype = DType::i64;
  CHECK(run(&call, &args) == Status::invalid_argument);
  CHECK(y == 0);
}
