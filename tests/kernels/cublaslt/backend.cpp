// The CUDA backend's matrix products where cuBLASLt is there, its part played on the host: which memory is whose,
// workspaces, algorithms kept, and who computes what cuBLASLt does not.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/matrix_product.h"
#include "kernels/cuda/status.h"
#include "tests/cuda_on_host/control.h"
#include "tests/kernels/cublaslt/host_cublaslt.h"
#include "tests/kernels/op_table/ways.h"

namespace graft::test {

namespace {

const OpEntry& products() { return op_entry(Primitive::matmul); }

// A backend on a device as new, beside a cuBLASLt that does as it is told.
struct OnHost {
  OnHost(const OnHost&) = delete;
  explicit OnHost(const HostCublasLt& told = {}) {
    cuda_on_host::reset();
    host_cublaslt() = told;
    REQUIRE(cuda::make_backend(0, &backend) == Status::ok);
  }
  ~OnHost() {
    backend.destroy(backend.self);
    cuda_on_host::reset();
  }
  WatchedResult run(const OpRow& row, DType type, Placement placement = {}) const {
    return run_watched(backend, Watch::device, Primitive::matmul, typed_args(Primitive::matmul, row, type),
                       contents(Primitive::matmul, row, type, type), row, placement);
  }
  int64_t workspace(const AnyArgs& args) const {
    return backend.workspace_bytes(backend.self, Primitive::matmul, args.bytes);
  }
  Backend backend;
};

// The reference's results, each rounded once.
std::string compare(const OpRow& row, DType type, const WatchedResult& result) {
  const size_t y = 3;
  HostCall truth(Primitive::matmul, typed_args(Primitive::matmul, row, DType::f64),
                 contents(Primitive::matmul, row, type, DType::f64));
  if (truth.run(reference_backend()) != Status::ok) return "the reference refuses the row";
  const AnyArgs args = typed_args(Primitive::matmul, row, type);
  const TensorView& view = reinterpret_cast<const MatmulArgs*>(args.bytes)->y;
  const double unit = view.dtype == DType::f32 ? 0x1p-23 : 0x1p-7;
  for (int64_t i = 0; i < view.numel(); ++i) {
    const double got = element(result.tensors[y], view.dtype, i);
    const double expected = element(truth.tensors()[y], DType::f64, i);
    if (!(std::abs(got - expected) <= unit * std::abs(expected) + 1e-7) && got != expected &&
        !(std::isnan(got) && std::isnan(expected)))
      return fmt::format("element {} is {}, not {}", i, got, expected);
  }
  return "";
}

}  // namespace

TEST_CASE("matrix products of the op table go through cuBLASLt from a backend's entry to its pointers") {
  const OnHost host;
  for (const OpRow& row : products().rows)
    for (DType type : {DType::f32, DType::bf16}) {
      const AnyArgs args = typed_args(Primitive::matmul, row, type);
      const auto& call = *reinterpret_cast<const MatmulArgs*>(args.bytes);
      if (row.expected != Status::ok || !cuda::product_of(call, cuda::F32Math::strict)) continue;
      INFO(row.text << ", " << name_of(type));
      const int before = host_cublaslt().products;
      const WatchedResult result = host.run(row, type);
      CHECK(result.problem == "");
      REQUIRE(result.status == Status::ok);
      CHECK(result.kernel == "cublaslt");
      CHECK(host_cublaslt().products == before + 1);
      CHECK(compare(row, type, result) == "");
    }
  CHECK(host_cublaslt().products > 40);
}

TEST_CASE("an algorithm is chosen once for a product, whoever asks first") {
  const OnHost host;
  const OpRow& row = products().rows.front();
  const AnyArgs args = typed_args(Primitive::matmul, row, DType::f32);
  CHECK(host_cublaslt().handles == 0);
  std::vector<int64_t> answers(8);
  std::vector<std::thread> threads;
  for (int64_t& answer : answers) threads.emplace_back([&] { answer = host.workspace(args); });
  for (std::thread& thread : threads) thread.join();
  for (const int64_t answer : answers) CHECK(answer > static_cast<int64_t>(host_cublaslt().workspace_bytes));
  CHECK(host_cublaslt().handles == 1);
  CHECK(host_cublaslt().heuristics == 1);
  for (int i = 0; i < 3; ++i) REQUIRE(host.run(row, DType::f32).status == Status::ok);
  CHECK(host_cublaslt().heuristics == 1);
  REQUIRE(host.run(row, DType::bf16).status == Status::ok);
  CHECK(host_cublaslt().heuristics == 2);
  CHECK(host_cublaslt().products == 4);
}

TEST_CASE("a handle goes with its backend") {
  {
    const OnHost host;
    (void)host.workspace(typed_args(Primitive::matmul, products().rows.front(), DType::f32));
  }
  CHECK(host_cublaslt().handles == 0);
}

TEST_CASE("a matrix product runs on the call's stream, in the memory that was planned, wherever that begins") {
  const OnHost host;
  const Backend& backend = host.backend;
  StreamHandle stream = nullptr;
  REQUIRE(backend.device.create_stream(backend.self, &stream) == Status::ok);
  AnyArgs args = typed_args(Primitive::matmul, products().rows.front(), DType::f32);
  constexpr unsigned char kGuard = 0x5A;
  const auto memory_of = [&](int64_t bytes) {
    void* memory = nullptr;
    REQUIRE(backend.device.allocate(backend.self, bytes, &memory) == Status::ok);
    return memory;
  };
  for (int i = 0; i < MatmulArgs::kRoles.total(); ++i)
    if (TensorView& view = views_of(args.bytes)[i]; view.present()) view.data = memory_of(view.bytes());
  const int64_t bytes = host.workspace(args);
  for (const int64_t off : {0, 64, 128, 192}) {
    auto* workspace = static_cast<unsigned char*>(memory_of(off + bytes + 256)) + off;
    std::fill_n(workspace + bytes, 256, kGuard);
    CallContext call{.self = backend.self, .stream = stream, .workspace = workspace, .workspace_bytes = bytes};
    const auto run = backend.run[static_cast<int>(Primitive::matmul)];
    REQUIRE(run(&call, args.bytes) == Status::ok);
    CHECK(host_cublaslt().last_stream == stream);
    CHECK(std::count(workspace + bytes, workspace + bytes + 256, kGuard) == 256);
    call.workspace_bytes = bytes - 1;
    CHECK(run(&call, args.bytes) == Status::invalid_argument);
  }
}

TEST_CASE("cuBLASLt may round f32 to TF32 only while that is allowed, and its algorithms are not asked for again") {
  const OnHost host;
  const Backend& b = host.backend;
  const auto compute_for = [&](DType type) {
    REQUIRE(host.run(products().rows.front(), type).status == Status::ok);
    return host_cublaslt().last_compute;
  };
  CHECK(compute_for(DType::f32) == CUBLAS_COMPUTE_32F);
  REQUIRE(b.device.allow_tf32(b.self, true) == Status::ok);
  CHECK(compute_for(DType::f32) == CUBLAS_COMPUTE_32F_FAST_TF32);
  CHECK(compute_for(DType::bf16) == CUBLAS_COMPUTE_32F);
  REQUIRE(b.device.allow_tf32(b.self, false) == Status::ok);
  CHECK(compute_for(DType::f32) == CUBLAS_COMPUTE_32F);
  CHECK(host_cublaslt().heuristics == 3);
}

TEST_CASE("a choice among cuBLASLt's algorithms and graft's kernels is what computes") {
  const OnHost host({.algorithms = 3});
  const Backend& b = host.backend;
  const OpRow& row = products().rows.front();
  const CallWays ways = ways_of(b, Primitive::matmul, typed_args(Primitive::matmul, row, DType::f32));
  CHECK(ways.names ==
        std::vector<std::string>{"cublaslt 10", "cublaslt 11", "cublaslt 12", "graft tile 32", "graft tile 64"});
  const auto kernel_of = [&](const char* way) {
    REQUIRE(b.tune.choose(b.self, ways.key.c_str(), way) == Status::ok);
    const WatchedResult result = host.run(row, DType::f32);
    CHECK(result.status == Status::ok);
    CHECK(result.problem == "");
    return result.kernel + (result.kernel == "cublaslt" ? " " + std::to_string(host_cublaslt().last_algorithm) : "");
  };
  CHECK(kernel_of(nullptr) == "cublaslt 10");
  CHECK(kernel_of("cublaslt 12") == "cublaslt 12");
  CHECK(kernel_of("graft tile 64") == "matmul");
  CHECK(kernel_of("cublaslt 1") == "cublaslt 10");  // no algorithm of this call: the rule's
  CHECK(kernel_of(nullptr) == "cublaslt 10");
}

TEST_CASE("every way of a product beside cuBLASLt computes the rows of the op table within their bounds") {
  const OnHost host({.algorithms = 2});
  for (DType type : {DType::f32, DType::bf16}) {
    INFO(name_of(type));
    const CheckedWays checked = check_ways(host.backend, Primitive::matmul, type);
    CHECK(checked.problems == "");
    CHECK(checked.ways > 60);
  }
}

TEST_CASE("graft's own kernels compute what cuBLASLt does not") {
  const OpRow& row = products().rows.front();
  const auto check_own = [&](const OnHost& host, DType type, const char* kernel, Placement placement) {
    const WatchedResult result = host.run(row, type, placement);
    CHECK(result.status == Status::ok);
    CHECK(result.problem == "");
    CHECK(result.kernel == kernel);
    CHECK(host_cublaslt().products == 0);
  };
  SECTION("without an algorithm") {
    const OnHost host({.has_algorithm = false});
    check_own(host, DType::f32, "matmul", {});
    check_own(host, DType::bf16, "matmul_mma", {});
  }
  SECTION("with a workspace above the limit") {
    const OnHost host({.workspace_bytes = (size_t{32} << 20) + 1});
    check_own(host, DType::f32, "matmul", {});
  }
  SECTION("for memory off a 16-byte border") {
    const OnHost host;
    check_own(host, DType::f32, "matmul", {.elements_off = 1});
  }
  SECTION("where GRAFT_CUBLASLT=0 says so") {
    REQUIRE(setenv("GRAFT_CUBLASLT", "0", 1) == 0);
    const OnHost host;
    check_own(host, DType::f32, "matmul", {});
    REQUIRE(unsetenv("GRAFT_CUBLASLT") == 0);
    CHECK(host_cublaslt().handles == 0);
  }
}

TEST_CASE("a matrix product that fails is an error of the device, with cuBLASLt's reason") {
  const OnHost host({.outcome = CUBLAS_STATUS_EXECUTION_FAILED});
  const WatchedResult result = host.run(products().rows.front(), DType::f32);
  CHECK(result.status == Status::device_error);
  CHECK(result.kernel == "cublaslt");
  CHECK(std::string(cuda::last_error_text()) == "cuBLASLt's matrix product failed: what the test says");
}

}  // namespace graft::test
