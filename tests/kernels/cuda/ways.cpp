// Ways of a call on the CUDA backend, without libraries: graft's own kernels, by tile.
#include "tests/kernels/op_table/ways.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "kernels/cuda/cuda_backend.h"
#include "tests/cuda_on_host/control.h"

namespace graft::test {

namespace {

struct OnHost {
  OnHost() { REQUIRE(cuda::make_backend(0, &backend) == Status::ok); }
  OnHost(const OnHost&) = delete;
  ~OnHost() { backend.destroy(backend.self); }

  Status choose(const std::string& key, const char* way) const {
    return backend.tune.choose(backend.self, key.c_str(), way);
  }
  int64_t workspace(Primitive primitive, const AnyArgs& args) const {
    return backend.workspace_bytes(backend.self, primitive, args.bytes);
  }
  Backend backend;
};

TensorView view(std::initializer_list<int64_t> extents, DType type = DType::f32) {
  return {nullptr, Shape(extents), type};
}
template <typename Args>
AnyArgs any(const Args& args) {
  AnyArgs any;
  new (any.bytes) Args(args);
  return any;
}

// By the rule 200 tiles of 32 · 32 and no workspace; 100 tiles of 64 · 64 have their sums cut into two slabs.
const Conv2dArgs kGrouped{.x = view({1, 8, 8, 3200}),
                          .weight = view({400, 3, 3, 32}),
                          .bias = view({400}),
                          .y = view({1, 8, 8, 400}),
                          .conv = {.pad = {1, 1, 1, 1}, .groups = 100},
                          .activation = Activation::relu};
constexpr const char* kGroupedKey =
    "conv2d f32[1,8,8,3200] f32[400,3,3,32] f32[400] - f32[1,8,8,400] stride 1 1 pad 1 1 1 1 dilation 1 1 groups 100 "
    "activation relu ";

uint64_t medium_tiles() {
  uint64_t launches = 0;
  for (const auto& [name, kernel] : cuda_on_host::launched_kernels())
    if (name.find("conv2d_kernel<graft::cuda::GemmTile<64") != std::string::npos) launches += kernel.launches;
  return launches;
}

}  // namespace

TEST_CASE("every way of a call computes the rows of the op table within their bounds") {
  const OnHost host;
  const auto check = [&](Primitive primitive, std::initializer_list<DType> types, int least) {
    for (const DType type : types) {
      INFO(name_of(primitive) << ", " << name_of(type));
      const CheckedWays checked = check_ways(host.backend, primitive, type);
      CHECK(checked.problems == "");
      CHECK(checked.ways >= least);
    }
  };
  check(Primitive::conv2d, {DType::f32, DType::bf16}, 60);
  check(Primitive::conv2d_backward_data, {DType::f32, DType::bf16}, 40);
  check(Primitive::conv2d_backward_weight, {DType::f32, DType::bf16}, 40);
  check(Primitive::matmul, {DType::f32, DType::bf16}, 40);
}

TEST_CASE("a choice changes the kernel of a call, and taking it back leaves it to the rule") {
  const OnHost host;
  const OpRow& row = op_entry(Primitive::conv2d).rows.front();
  const AnyArgs args = typed_args(Primitive::conv2d, row, DType::f32);
  const CallWays ways = ways_of(host.backend, Primitive::conv2d, args);
  REQUIRE(ways.names.size() >= 2);
  REQUIRE(ways.names[0] == "graft tile 32");
  const auto medium_launches = [&] {
    const uint64_t before = medium_tiles();
    const WatchedResult result = run_watched(host.backend, Watch::device, Primitive::conv2d, args,
                                             contents(Primitive::conv2d, row, DType::f32, DType::f32), row, {});
    CHECK(result.status == Status::ok);
    CHECK(result.problem == "");
    return medium_tiles() - before;
  };
  CHECK(medium_launches() == 0);
  REQUIRE(host.choose(ways.key, "graft tile 64") == Status::ok);
  CHECK(medium_launches() == 1);
  REQUIRE(host.choose(ways.key, "graft tile 48") == Status::ok);  // no way of this call: the rule's
  CHECK(medium_launches() == 0);
  REQUIRE(host.choose(ways.key, "graft tile 64") == Status::ok);
  REQUIRE(host.choose(ways.key, nullptr) == Status::ok);
  CHECK(medium_launches() == 0);
  REQUIRE(host.choose(ways.key + " and more", "graft tile 64") == Status::ok);  // no other call's
  CHECK(medium_launches() == 0);
}

TEST_CASE("a way decides the workspace, and a described piece keeps the way that it was described with") {
  const OnHost host;
  const AnyArgs args = any(kGrouped);
  const CallWays ways = ways_of(host.backend, Primitive::conv2d, args);
  CHECK(ways.key == kGroupedKey + std::string("strict"));
  CHECK(ways.names == std::vector<std::string>{"graft tile 32", "graft tile 64", "graft tile 128"});

  Conv2dArgs recorded = kGrouped;
  int32_t number = 0;
  for (TensorView* v : {&recorded.x, &recorded.weight, &recorded.bias, &recorded.y})
    v->data = virtual_address(number++);
  const PieceBuffer buffers[] = {{BufferKind::input, kGrouped.x.shape},
                                 {BufferKind::input, kGrouped.weight.shape},
                                 {BufferKind::input, kGrouped.bias.shape},
                                 {BufferKind::output, kGrouped.y.shape}};
  const RecordedCall call{.primitive = Primitive::conv2d, .args = &recorded};
  const Piece piece{.calls = &call, .buffers = buffers, .call_count = 1, .buffer_count = 4};
  const Backend& b = host.backend;
  const auto described_workspace = [&](Executable** executable) {
    REQUIRE(b.compile.describe(b.self, &piece, executable) == Status::ok);
    ExecutableInfo info;
    REQUIRE(b.compile.info(*executable, &info) == Status::ok);
    return info.lifetime_count == 0 ? 0 : info.lifetimes[0].bytes;
  };
  Executable *by_rule = nullptr, *chosen = nullptr;
  const int64_t rule_bytes = host.workspace(Primitive::conv2d, args);
  CHECK(described_workspace(&by_rule) == rule_bytes);
  REQUIRE(host.choose(ways.key, "graft tile 64") == Status::ok);
  const int64_t chosen_bytes = host.workspace(Primitive::conv2d, args);
  CHECK(rule_bytes == 0);
  CHECK(chosen_bytes == 2 * kGrouped.y.bytes());
  CHECK(described_workspace(&chosen) == chosen_bytes);

  // The piece of the rule, which has no workspace for the chosen way, runs as it was described.
  std::vector<float> memory(1 << 20, 0.5f);  // the host-run device's copies are from here
  void *device_memory = nullptr, *arena = nullptr;
  const auto bytes = static_cast<int64_t>(memory.size() * sizeof(float));
  REQUIRE(b.device.allocate(b.self, bytes, &device_memory) == Status::ok);
  REQUIRE(b.device.allocate(b.self, chosen_bytes, &arena) == Status::ok);
  REQUIRE(b.device.copy(b.self, nullptr, device_memory, memory.data(), bytes, CopyKind::host_to_device) == Status::ok);
  auto* numbers = static_cast<float*>(device_memory);
  void* addresses[] = {numbers, numbers + (1 << 18), numbers + (1 << 19), numbers + (1 << 19) + 1024};
  const auto medium_launches = [&](Executable* executable) {
    const uint64_t before = medium_tiles();
    const int64_t offset = 0;
    REQUIRE(b.compile.plan(executable, &offset) == Status::ok);
    const ExecuteArgs execution{.arena = arena, .buffers = addresses};
    CHECK(b.compile.execute(executable, &execution, nullptr) == Status::ok);
    CHECK(b.device.synchronize(b.self, nullptr) == Status::ok);
    b.compile.destroy(executable);
    return medium_tiles() - before;
  };
  CHECK(medium_launches(by_rule) == 0);
  CHECK(medium_launches(chosen) == 1);
}

TEST_CASE("the key of a call says what decides between its ways, and whether f32 may be rounded") {
  const OnHost host;
  const Backend& b = host.backend;
  const auto key_of = [&](const auto& args) {
    return ways_of(b, primitive_of<std::decay_t<decltype(args)>>, any(args)).key;
  };
  const MatmulArgs product{
      .a = view({7, 5}), .b = view({3, 5}), .bias = view({3}), .y = view({7, 3}), .transpose_b = 1};
  CHECK(key_of(product) == "matmul f32[7,5] f32[3,5] f32[3] f32[7,3] transpose 0 1 activation none strict");
  Conv2dArgs small = kGrouped;
  for (TensorView* v : {&small.x, &small.weight, &small.y}) v->dtype = DType::bf16;
  REQUIRE(b.device.allow_tf32(b.self, true) == Status::ok);
  CHECK(key_of(kGrouped) == kGroupedKey + std::string("tf32"));
  CHECK(key_of(small).ends_with(" strict"));
  REQUIRE(b.device.allow_tf32(b.self, false) == Status::ok);
  CHECK(key_of(kGrouped) == kGroupedKey + std::string("strict"));

  std::vector<Conv2dArgs> others(5, kGrouped);
  others[0].conv.groups = 50, others[0].weight.shape[3] = 64;
  others[1].conv.pad = {2, 0, 1, 1};
  others[2].conv.pad = {2, 2, 2, 2}, others[2].conv.dilation = {2, 2};
  others[3].residual = kGrouped.y;
  others[4].bias = {};
  for (const Conv2dArgs& other : others) CHECK(key_of(other) != key_of(kGrouped));
}

TEST_CASE("what has one way, and what is wrong, has no choice") {
  const OnHost host;
  const Backend& b = host.backend;
  char text[1024];
  int32_t count = -1;
  const AnyArgs add = any(AddArgs{.a = view({8}), .b = view({8}), .y = view({8})});
  CHECK(b.tune.ways(b.self, Primitive::add, add.bytes, text, sizeof text, &count) == Status::ok);
  CHECK(count == 0);
  CHECK(b.tune.way(b.self, Primitive::add, add.bytes, 0, text, sizeof text) == Status::invalid_argument);

  const AnyArgs grouped = any(kGrouped);
  CHECK(b.tune.ways(b.self, Primitive::conv2d, grouped.bytes, text, 20, &count) == Status::invalid_argument);
  CHECK(b.tune.way(b.self, Primitive::conv2d, grouped.bytes, 3, text, sizeof text) == Status::invalid_argument);
  CHECK(b.tune.way(b.self, Primitive::conv2d, grouped.bytes, -1, text, sizeof text) == Status::invalid_argument);
  CHECK(b.tune.choose(b.self, nullptr, "graft tile 64") == Status::invalid_argument);
  Conv2dArgs wrong = kGrouped;
  wrong.y.shape[1] = 9;
  CHECK(b.tune.ways(b.self, Primitive::conv2d, any(wrong).bytes, text, sizeof text, &count) ==
        Status::invalid_argument);
  Conv2dBackwardDataArgs half{.dy = kGrouped.y, .weight = kGrouped.weight, .dx = kGrouped.x, .conv = kGrouped.conv};
  for (TensorView* v : {&half.dy, &half.weight, &half.dx}) v->dtype = DType::f16;
  CHECK(ways_of(b, Primitive::conv2d_backward_data, any(half)).names.empty());
}

}  // namespace graft::test
