// The CUDA backend's convolutions where cuDNN is there, its part played on the host.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/cudnn_plan.h"
#include "kernels/cuda/status.h"
#include "tests/cuda_on_host/control.h"
#include "tests/kernels/cudnn/host_cudnn.h"
#include "tests/kernels/op_table/ways.h"

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
  CHECK_FALSE(cuda::keeps_promises(rounds | bit(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC), DType::f32, F32Math::tf32));
}

TEST_CASE("a plan on tensor cores computes f32 only while TF32 is allowed, and is not asked for again") {
  const Proposal rounding{.engine = 5,
                          .notes = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS}};
  const OnHost host({rounding, kGood});
  const Backend& b = host.backend;
  const OpRow& row = forward().rows.front();
  const auto engine_for = [&](DType type) {
    REQUIRE(host.run(forward(), row, type).status == Status::ok);
    return host_cudnn().last_engine;
  };
  CHECK(engine_for(DType::f32) == 7);
  REQUIRE(b.device.allow_tf32(b.self, true) == Status::ok);
  CHECK(engine_for(DType::f32) == 5);
  CHECK(compare(forward(), row, DType::f32, host.run(forward(), row, DType::f32)) != "");  // factors were rounded
  CHECK(engine_for(DType::bf16) == 7);  // 16 bits are multiplied as they are
  REQUIRE(b.device.allow_tf32(b.self, false) == Status::ok);
  CHECK(engine_for(DType::f32) == 7);
  CHECK(compare(forward(), row, DType::f32, host.run(forward(), row, DType::f32)) == "");
  CHECK(host_cudnn().heuristics == 3);
}

namespace {

const Proposal kFirst{.engine = 7, .workspace_bytes = 300, .knobs = {{CUDNN_KNOB_TYPE_TILE_SIZE, 3}}};
const Proposal kSecond{.engine = 7, .workspace_bytes = 900, .knobs = {{CUDNN_KNOB_TYPE_TILE_SIZE, 4}}};
const Proposal kThird{.engine = 11};
const Proposal kRacing{.engine = 2, .notes = {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}};
const Proposal kRefused{.engine = 3, .finalizes = CUDNN_STATUS_NOT_SUPPORTED};

}  // namespace

TEST_CASE("the ways of a convolution are cuDNN's plans that keep graft's promises, each once, and graft's kernels") {
  const OnHost host({kRacing, kFirst, kRefused, kSecond, kFirst, kThird});
  const AnyArgs args = typed_args(Primitive::conv2d, forward().rows.front(), DType::f32);
  const CallWays ways = ways_of(host.backend, Primitive::conv2d, args);
  const std::string tile = std::to_string(static_cast<int>(CUDNN_KNOB_TYPE_TILE_SIZE));
  CHECK(ways.names == std::vector<std::string>{"cudnn 7 " + tile + "=3", "cudnn 7 " + tile + "=4", "cudnn 11",
                                               "graft tile 32", "graft tile 64"});
  const int asked = host_cudnn().heuristics;
  CHECK(ways_of(host.backend, Primitive::conv2d, args).names == ways.names);
  CHECK(host_cudnn().heuristics == asked);
  std::vector<Proposal> many;
  for (int64_t engine = 0; engine < 12; ++engine) many.push_back({.engine = engine});
  const OnHost crowded(many);
  CHECK(ways_of(crowded.backend, Primitive::conv2d, args).names.size() == 8 + 2);
}

TEST_CASE("a choice among cuDNN's plans and graft's kernels is what computes") {
  const OnHost host({kFirst, kSecond, kThird});
  const Backend& b = host.backend;
  const OpRow& row = forward().rows.front();
  const AnyArgs args = typed_args(Primitive::conv2d, row, DType::f32);
  const CallWays ways = ways_of(b, Primitive::conv2d, args);
  const auto kernel_of = [&](const char* way) {
    REQUIRE(b.tune.choose(b.self, ways.key.c_str(), way) == Status::ok);
    const WatchedResult result = host.run(forward(), row, DType::f32);
    CHECK(result.status == Status::ok);
    CHECK(result.problem == "");
    return result.kernel + (result.kernel == "cudnn" ? " " + std::to_string(host_cudnn().last_engine) : "");
  };
  CHECK(kernel_of(nullptr) == "cudnn 7");
  CHECK(kernel_of("cudnn 11") == "cudnn 11");
  CHECK(kernel_of("graft tile 32") == "conv2d");
  CHECK(kernel_of("cudnn 12") == "cudnn 7");  // no plan of this call: the rule's
  CHECK(kernel_of("cudnn 1") == "cudnn 7");
  CHECK(kernel_of(nullptr) == "cudnn 7");
  REQUIRE(b.tune.choose(b.self, ways.key.c_str(), ways.names[1].c_str()) == Status::ok);
  CHECK(b.workspace_bytes(b.self, Primitive::conv2d, args.bytes) == kSecond.workspace_bytes);
  const AnyArgs other = typed_args(Primitive::conv2d, row, DType::bf16);
  CHECK(b.workspace_bytes(b.self, Primitive::conv2d, other.bytes) == kFirst.workspace_bytes);
}

TEST_CASE("every way of a convolution beside cuDNN computes the rows of the op table within their bounds") {
  const OnHost host({kFirst, kThird});
  for (Primitive primitive : {Primitive::conv2d, Primitive::conv2d_backward_data, Primitive::conv2d_backward_weight}) {
    INFO(name_of(primitive));
    int other_kernels = 0;
    const CheckedWays checked =
        check_ways(host.backend, primitive, DType::f32, [&](const std::string& way, const WatchedResult& result) {
          other_kernels += way.starts_with("cudnn") != (result.kernel == "cudnn");
        });
    CHECK(checked.problems == "");
    CHECK(checked.ways > 60);
    CHECK(other_kernels == 0);
  }
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
