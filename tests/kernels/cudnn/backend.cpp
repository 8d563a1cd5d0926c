// The CUDA backend's convolutions where cuDNN is there, its part played on the host.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/cudnn_plan.h"
#include "kernels/cuda/status.h"
#include "tests/cuda_on_host/control.h"
#include "tests/kernels/cudnn/host_cudnn.h"
#include "tests/kernels/op_table/call.h"

namespace graft::test {

namespace {

const Proposal kGood{.engine = 7, .workspace_bytes = 300};

// A backend on a device as new, beside a cuDNN that proposes this.
struct OnHost {
  OnHost(const OnHost&) = delete;
  explicit OnHost(std::vector<Proposal> proposals) {
    cuda_on_host::reset();
    host_cudnn() = {.proposals = std::move(proposals)};
    REQUIRE(cuda::make_backend(0, &backend) == Status::ok);
  }
  ~OnHost() {
    backend.destroy(backend.self);
    cuda_on_host::reset();
  }
  WatchedResult run(const OpEntry& entry, const OpRow& row, DType type, Placement placement = {}) const {
    return run_watched(backend, Watch::device, entry.primitive, typed_args(entry.primitive, row, type),
                       contents(entry.primitive, row, type, type), row, placement);
  }
  Backend backend;
};

const OpEntry& forward() { return op_entry(Primitive::conv2d); }

// The reference's results, each rounded once.
std::string compare(const OpEntry& entry, const OpRow& row, DType type, const WatchedResult& result) {
  const int y = info_of(entry.primitive).roles.total() - 1;
  HostCall truth(entry.primitive, typed_args(entry.primitive, row, DType::f64),
                 contents(entry.primitive, row, type, DType::f64));
  if (truth.run(reference_backend()) != Status::ok) return "the reference refuses the row";
  const AnyArgs args = typed_args(entry.primitive, row, type);
  const TensorView& view = views_of(static_cast<const void*>(args.bytes))[y];
  const double unit = view.dtype == DType::f32 ? 0x1p-23 : view.dtype == DType::bf16 ? 0x1p-7 : 0x1p-10;
  for (int64_t i = 0; i < view.numel(); ++i) {
    const double got = element(result.tensors[static_cast<size_t>(y)], view.dtype, i);
    const double expected = element(truth.tensors()[static_cast<size_t>(y)], DType::f64, i);
    if (!(std::abs(got - expected) <= unit * std::abs(expected) + 1e-7) && got != expected &&
        !(std::isnan(got) && std::isnan(expected)))
      return fmt::format("element {} is {}, not {}", i, got, expected);
  }
  return "";
}

}  // namespace

TEST_CASE("convolutions of the op table go through cuDNN from a backend's entry to its pointers") {
  const OnHost host({kGood});
  for (Primitive primitive : {Primitive::conv2d, Primitive::conv2d_backward_data, Primitive::conv2d_backward_weight}) {
    const OpEntry& entry = op_entry(primitive);
    for (const OpRow& row : entry.rows) {
      if (row.expected != Status::ok) continue;
      for (DType type : {DType::f32, DType::bf16}) {
        INFO(row.text << ", " << name_of(type));
        const int before = host_cudnn().executions;
        const WatchedResult result = host.run(entry, row, type);
        CHECK(result.problem == "");
        REQUIRE(result.status == Status::ok);
        bool empty = false;
        for (int i = 0; i < info_of(primitive).roles.total(); ++i)
          empty |= row.view(i).present() && row.view(i).numel() == 0;
        CHECK((host_cudnn().executions - before == 1) == !empty);
        CHECK((result.kernel == "cudnn") == !empty);
        CHECK(compare(entry, row, type, result) == "");
      }
    }
  }
}

TEST_CASE("a plan is chosen once for a shape, before the first call runs") {
  const OnHost host({kGood});
  const OpRow& row = forward().rows.front();
  const AnyArgs args = typed_args(Primitive::conv2d, row, DType::f32);
  CHECK(host_cudnn().handles == 0);
  CHECK(host.backend.workspace_bytes(host.backend.self, Primitive::conv2d, args.bytes) >= kGood.workspace_bytes);
  CHECK(host_cudnn().handles == 1);
  CHECK(host_cudnn().heuristics == 1);
  for (int i = 0; i < 3; ++i) REQUIRE(host.run(forward(), row, DType::f32).status == Status::ok);
  CHECK(host_cudnn().heuristics == 1);
  REQUIRE(host.run(forward(), row, DType::bf16).status == Status::ok);
  CHECK(host_cudnn().heuristics == 2);
  CHECK(host_cudnn().executions == 4);
  CHECK(host_cudnn().handles == 1);
}

TEST_CASE("a convolution runs on the call's stream") {
  const OnHost host({kGood});
  const Backend& backend = host.backend;
  StreamHandle stream = nullptr;
  REQUIRE(backend.device.create_stream(backend.self, &stream) == Status::ok);
  AnyArgs args = typed_args(Primitive::conv2d, forward().rows.front(), DType::f32);
  const auto memory_of = [&](int64_t bytes) {
    void* memory = nullptr;
    REQUIRE(backend.device.allocate(backend.self, bytes, &memory) == Status::ok);
    return memory;
  };
  for (int i = 0; i < Conv2dArgs::kRoles.total(); ++i)
    if (TensorView& view = views_of(args.bytes)[i]; view.present()) view.data = memory_of(view.bytes());
  const int64_t bytes = backend.workspace_bytes(backend.self, Primitive::conv2d, args.bytes);
  CallContext call{.self = backend.self, .stream = stream, .workspace = memory_of(bytes), .workspace_bytes = bytes};
  REQUIRE(backend.run[static_cast<int>(Primitive::conv2d)](&call, args.bytes) == Status::ok);
  CHECK(host_cudnn().last_stream == stream);
  CHECK(host_cudnn().last_stream != nullptr);
}

TEST_CASE("the first proposal that keeps graft's promises is the plan") {
  const auto engine_for = [](DType type, std::vector<Proposal> proposals) {
    const OnHost host(std::move(proposals));
    const WatchedResult result = host.run(forward(), forward().rows.front(), type);
    REQUIRE(result.status == Status::ok);
    return host_cudnn().last_engine;
  };
  const Proposal good = kGood;
  const auto noted = [](cudnnBackendNumericalNote_t note) { return Proposal{.engine = 5, .notes = {note}}; };
  for (auto note : {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION,
                    CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS, CUDNN_NUMERICAL_NOTE_FFT, CUDNN_NUMERICAL_NOTE_WINOGRAD,
                    CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6,
                    CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13}) {
    INFO(note);
    CHECK(engine_for(DType::f32, {noted(note), good}) == 7);
    CHECK(engine_for(DType::bf16, {noted(note), good}) == 7);
  }
  CHECK(engine_for(DType::f32, {noted(CUDNN_NUMERICAL_NOTE_TENSOR_CORE), good}) == 7);
  CHECK(engine_for(DType::bf16, {noted(CUDNN_NUMERICAL_NOTE_TENSOR_CORE), good}) == 5);
  CHECK(engine_for(DType::f32, {noted(CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP), good}) == 5);
  CHECK(engine_for(DType::f32, {{.engine = 5, .workspace_bytes = cuda::kMostPlanWorkspace + 1}, good}) == 7);
  CHECK(engine_for(DType::f32, {{.engine = 5, .finalizes = CUDNN_STATUS_NOT_SUPPORTED}, good}) == 7);
  CHECK(engine_for(DType::f32, {{.engine = 5}, good}) == 5);
}

TEST_CASE("in tf32 a tensor core may round f32, and nothing else is allowed") {
  using cuda::F32Math;
  const auto bit = [](cudnnBackendNumericalNote_t note) { return 1u << note; };
  const uint32_t rounds = bit(CUDNN_NUMERICAL_NOTE_TENSOR_CORE) | bit(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
  CHECK(cuda::keeps_promises(rounds, DType::f32, F32Math::tf32));
  CHECK_FALSE(cuda::keeps_promises(rounds, DType::f32, F32Math::strict));
  CHECK_FALSE(cuda::keeps_promises(rounds, DType::bf16, F32Math::tf32));
  CHECK_FALSE(cuda::keeps_promises(rounds | bit(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC), DType::f32,
                                   F32Math::tf32));
}

TEST_CASE("graft's own kernel computes what cuDNN does not") {
  const OpRow& row = forward().rows.front();
  const auto check_own = [&](const OnHost& host, Placement placement) {
    const WatchedResult result = host.run(forward(), row, DType::f32, placement);
    CHECK(result.status == Status::ok);
    CHECK(result.problem == "");
    CHECK(result.kernel == "conv2d");
    CHECK(host_cudnn().executions == 0);
  };
  SECTION("without a plan") {
    const Proposal racing{.engine = 5, .notes = {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}};
    const OnHost host({racing});
    check_own(host, {});
    check_own(host, {});
    CHECK(host_cudnn().heuristics == 1);  // nor is it asked for again
  }
  SECTION("without a proposal") { check_own(OnHost(std::vector<Proposal>{}), {}); }
  SECTION("in memory off a multiple of 16 bytes") { check_own(OnHost({kGood}), {.elements_off = 1}); }
  SECTION("where cuDNN does not find the device") {
    const OnHost host({kGood});
    host_cudnn().has_device = false;
    check_own(host, {});
  }
  SECTION("with GRAFT_CUDNN=0") {
    setenv("GRAFT_CUDNN", "0", 1);
    check_own(OnHost({kGood}), {});
    unsetenv("GRAFT_CUDNN");
    CHECK(host_cudnn().heuristics == 0);
  }
}

TEST_CASE("a convolution that fails in cuDNN says so") {
  const Proposal failing{.engine = 7, .executes = CUDNN_STATUS_EXECUTION_FAILED};
  const OnHost host({failing});
  CHECK(host.run(forward(), forward().rows.front(), DType::f32).status == Status::device_error);
  CHECK(std::string(cuda::last_error_text()) == "cuDNN's engine 7 of a convolution failed: a failure on request");
}

TEST_CASE("backends give cuDNN's handle back") {
  {
    const OnHost host({kGood});
    REQUIRE(host.run(forward(), forward().rows.front(), DType::f32).status == Status::ok);
    CHECK(host_cudnn().handles == 1);
  }
  CHECK(host_cudnn().handles == 0);
}

}  // namespace graft::test
