// A small piece (convolution, residual block, pooling, linear layer), compiled: equal to the same calls run one by one,
// within one buffer less memory where results take over their inputs' place, from several threads at once.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "kernels/cpu/cpu_backend.h"

using namespace graft;

namespace {

constexpr int64_t kBatch = 2, kSize = 9, kIn = 5, kMid = 20, kClasses = 7;
constexpr int32_t kCalls = 5;

// Buffers of the piece, in this order.
enum : int32_t {
  input,
  weight1,
  bias1,
  weight2,
  bias2,
  linear_weight,
  linear_bias,
  first,
  second,
  gated,
  pooled,
  logits,
  buffer_count
};

const Shape kShapes[buffer_count] = {{kBatch, kSize, kSize, kIn},
                                     {kMid, 3, 3, kIn},
                                     {kMid},
                                     {kMid, 3, 3, kMid},
                                     {kMid},
                                     {kClasses, kMid},
                                     {kClasses},
                                     {kBatch, kSize, kSize, kMid},
                                     {kBatch, kSize, kSize, kMid},
                                     {kBatch, kSize, kSize, kMid},
                                     {kBatch, 1, 1, kMid},
                                     {kBatch, kClasses}};

float value(int32_t buffer, int64_t i) { return static_cast<float>((buffer * 7919 + i * 104729) % 201 - 100) * .01f; }

bool is_constant(int32_t b) { return b >= weight1 && b <= linear_bias; }

struct Calls {
  Conv2dArgs conv1, conv2;
  ActivateArgs gate;
  AdaptiveAvgPoolArgs pool;
  MatmulArgs linear;
  RecordedCall list[kCalls];

  template <typename At>
  explicit Calls(At at) {
    const auto view = [&](int32_t b) { return TensorView{at(b), kShapes[b], DType::f32}; };
    const Conv2dParams same{.stride = {}, .dilation = {}, .pad = {1, 1, 1, 1}, .groups = 1};
    conv1 = {.x = view(input),
             .weight = view(weight1),
             .bias = view(bias1),
             .residual = {},
             .y = view(first),
             .conv = same,
             .activation = Activation::silu};
    conv2 = {.x = view(first),
             .weight = view(weight2),
             .bias = view(bias2),
             .residual = view(first),
             .y = view(second),
             .conv = same,
             .activation = Activation::relu};
    gate = {.x = view(second), .y = view(gated), .activation = Activation::sigmoid};
    pool = {.x = view(gated), .y = view(pooled)};
    linear = {.a = {at(pooled), {kBatch, kMid}, DType::f32},
              .b = view(linear_weight),
              .bias = view(linear_bias),
              .y = view(logits),
              .transpose_a = 0,
              .transpose_b = 1,
              .activation = Activation::none};
    list[0] = {Primitive::conv2d, 0, &conv1};
    list[1] = {Primitive::conv2d, 1, &conv2};
    list[2] = {Primitive::activate, 2, &gate};
    list[3] = {Primitive::adaptive_avg_pool, 3, &pool};
    list[4] = {Primitive::matmul, 4, &linear};
  }
};

// Element i of a constant as memory has it, found at its place in PyTorch's order.
int64_t torch_index(int32_t buffer, int64_t i) {
  const Shape& s = kShapes[buffer];
  if (s.rank != 4) return i;
  const int64_t c = i % s[3], tap = i / s[3] % (s[1] * s[2]), k = i / s[3] / (s[1] * s[2]);
  return (k * s[3] + c) * s[1] * s[2] + tap;
}

const float kScale[kMid] = {1, 2, .5f, 1, 1, 3};  // the others 0

ConstantSource source() {
  return {.self = nullptr,
          .read =
              [](void*, int32_t buffer, int64_t first_row, int64_t rows, float* out) {
                const int64_t row = kShapes[buffer].numel() / kShapes[buffer][0];
                for (int64_t i = 0; i < rows * row; ++i) out[i] = value(buffer, first_row * row + i);
                return Status::ok;
              },
          .scale = [](void*, int32_t buffer) -> const float* { return buffer == weight1 ? kScale : nullptr; }};
}

std::vector<float> run_eagerly(const Backend& backend) {
  std::vector<std::vector<float>> memory;
  for (int32_t b = 0; b < buffer_count; ++b) {
    std::vector<float> data(static_cast<size_t>(kShapes[b].numel()));
    for (int64_t i = 0; i < kShapes[b].numel(); ++i) {
      data[static_cast<size_t>(i)] = value(b, is_constant(b) ? torch_index(b, i) : i);
      if (b == weight1) data[static_cast<size_t>(i)] *= kScale[i / (9 * kIn)];
    }
    memory.push_back(std::move(data));
  }
  const Calls calls([&](int32_t b) -> void* { return memory[static_cast<size_t>(b)].data(); });
  for (const RecordedCall& c : calls.list) {
    const int64_t bytes = backend.workspace_bytes(backend.self, c.primitive, c.args);
    void* workspace = nullptr;
    REQUIRE(backend.device.allocate(backend.self, bytes, &workspace) == Status::ok);
    CallContext context{.self = backend.self, .stream = nullptr, .workspace = workspace, .workspace_bytes = bytes};
    REQUIRE(backend.run[static_cast<int>(c.primitive)](&context, c.args) == Status::ok);
    backend.device.release(backend.self, workspace, bytes);
  }
  return memory[logits];
}

}  // namespace

TEST_CASE("a compiled piece equals its calls, from several threads at once") {
  for (CpuIsa isa : {CpuIsa::sse4, CpuIsa::avx2, CpuIsa::avx512}) {
    const CpuOptions options{.threads = 3, .max_isa = isa};
    Backend backend;
    REQUIRE(graft_cpu_backend(&options, &backend) == Status::ok);
    const auto expected = run_eagerly(backend);

    const Calls calls([](int32_t b) { return virtual_address(b); });
    PieceBuffer buffers[buffer_count];
    for (int32_t b = 0; b < buffer_count; ++b)
      buffers[b] = {b == input       ? BufferKind::input
                    : is_constant(b) ? BufferKind::constant
                    : b == logits    ? BufferKind::output
                                     : BufferKind::temporary,
                    kShapes[b], DType::f32};
    const Piece piece{calls.list, buffers, kCalls, buffer_count};
    Executable* executable = nullptr;
    const CompileFunctions& compile = backend.compile;
    REQUIRE(compile.describe(backend.self, &piece, &executable) == Status::ok);
    ExecutableInfo info;
    REQUIRE(compile.info(executable, &info) == Status::ok);

    // `gated` lies where `second` did and has no lifetime of its own; `second` does not lie where `first` did, its
    // convolution's input as well as its residual.
    int large = 0;
    for (int i = 0; i < info.lifetime_count; ++i) large += info.lifetimes[i].bytes == kShapes[first].numel() * 4;
    CHECK(large == 2);

    std::vector<int64_t> offsets(static_cast<size_t>(info.lifetime_count));
    std::vector<int32_t> scratch(2 * offsets.size());
    const int64_t arena_bytes = plan_intervals(info.lifetimes, info.lifetime_count, offsets.data(), scratch.data());
    REQUIRE(compile.plan(executable, offsets.data()) == Status::ok);
    void* packed = nullptr;
    REQUIRE(backend.device.allocate(backend.self, info.packed_bytes, &packed) == Status::ok);
    const ConstantSource constants = source();
    REQUIRE(compile.fill(executable, packed, &constants) == Status::ok);

    std::atomic<int> wrong{0};
    std::vector<std::thread> users;
    for (int user = 0; user < 3; ++user)
      users.emplace_back([&] {
        void* arena = nullptr;
        if (backend.device.allocate(backend.self, arena_bytes, &arena) != Status::ok) ++wrong;
        std::vector<float> x(static_cast<size_t>(kShapes[input].numel())), y(expected.size());
        for (size_t i = 0; i < x.size(); ++i) x[i] = value(input, static_cast<int64_t>(i));
        void* addresses[buffer_count] = {};
        addresses[input] = x.data(), addresses[logits] = y.data();
        for (int round = 0; round < 10; ++round) {
          const char* kernels[kCalls] = {};
          const ExecuteArgs args{.packed = packed, .arena = arena, .buffers = addresses, .kernels = kernels};
          if (compile.execute(executable, &args, nullptr) != Status::ok) ++wrong;
          if (std::memcmp(y.data(), expected.data(), y.size() * sizeof(float)) != 0) ++wrong;
          for (const char* kernel : kernels) wrong += kernel == nullptr;
        }
        backend.device.release(backend.self, arena, arena_bytes);
      });
    for (std::thread& t : users) t.join();
    CHECK(wrong == 0);

    compile.destroy(executable);
    backend.device.release(backend.self, packed, info.packed_bytes);
    backend.destroy(backend.self);
  }
}
