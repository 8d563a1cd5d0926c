// A small piece compiled against the same calls run one by one.
#include <array>
#include <memory>
#include <string>
#include <thread>

#include "contract/recording.h"
#include "tests/kernels/reference/support.h"

namespace graft::test {
namespace {

using ExecutablePointer = std::unique_ptr<Executable, void (*)(Executable*)>;

// Weights in PyTorch's order, numbered so that a wrong place shows: element e of row r of buffer b is 100 b + 10 r + e.
struct NumberedSource {
  ConstantSource source{this, read, scale};
  std::vector<int64_t> row_elements;  // by buffer
  std::vector<std::vector<float>> scales;
  Status answer = Status::ok;

  static Status read(void* self, int32_t buffer, int64_t first_row, int64_t rows, float* out) {
    const auto& s = *static_cast<NumberedSource*>(self);
    for (int64_t r = first_row; r < first_row + rows; ++r)
      for (int64_t e = 0; e < s.row_elements[buffer]; ++e) *out++ = static_cast<float>(100 * buffer + 10 * r + e);
    return s.answer;
  }
  static const float* scale(void* self, int32_t buffer) {
    const auto& scales = static_cast<NumberedSource*>(self)->scales;
    return scales.empty() || scales[buffer].empty() ? nullptr : scales[buffer].data();
  }
};

// x → conv 2x2 (+ bias) → relu in place → depthwise → into channels 0, 1 of a concatenation; x's slice into channel 2;
// matmul of the rows with a [3,2] weight, transposed.
struct SmallPiece {
  enum Number { x, weight, bias, hidden, depthwise, deep, joined, linear, y, unused, kCount };
  std::array<PieceBuffer, kCount> buffers = {{{BufferKind::input, {1, 3, 3, 1}, DType::f32},
                                              {BufferKind::constant, {2, 2, 2, 1}, DType::f32},
                                              {BufferKind::constant, {2}, DType::f32},
                                              {BufferKind::temporary, {1, 2, 2, 2}, DType::f32},
                                              {BufferKind::constant, {1, 2, 2}, DType::f32},
                                              {BufferKind::temporary, {1, 2, 1, 2}, DType::f32},
                                              {BufferKind::temporary, {2, 3}, DType::f32},
                                              {BufferKind::constant, {2, 3}, DType::f32},
                                              {BufferKind::output, {2, 2}, DType::f32},
                                              {BufferKind::temporary, {1 << 20}, DType::f32}}};
  Conv2dArgs conv{view(x), view(weight), view(bias), {}, view(hidden)};
  ActivateArgs relu{view(hidden), view(hidden), Activation::relu};
  DepthwiseConv2dArgs deepen{view(hidden), view(depthwise), {}, view(deep)};
  CopySliceArgs join_deep{view(deep), view(joined), 2, 2, 2, 3, 0, 0};
  // Two of x's numbers, from the fourth on: a view within a buffer.
  CopySliceArgs join_x{{virtual_address(x, 3 * 4), {2, 1}, DType::f32}, view(joined), 2, 1, 1, 3, 0, 2};
  MatmulArgs project{view(joined), view(linear), {}, view(y), 0, 1};
  std::vector<RecordedCall> calls = {{Primitive::conv2d, 0, &conv},
                                     {Primitive::activate, 1, &relu},
                                     {Primitive::depthwise_conv2d, 2, &deepen},
                                     {Primitive::copy_slice, 3, &join_deep},
                                     {Primitive::copy_slice, 4, &join_x},
                                     {Primitive::matmul, 5, &project}};

  TensorView view(Number b) const { return {virtual_address(b), buffers[b].shape, buffers[b].dtype}; }
  Piece piece() const {
    return {calls.data(), buffers.data(), static_cast<int32_t>(calls.size()), static_cast<int32_t>(buffers.size())};
  }
  Status describe(ExecutablePointer& out) const {
    const Piece p = piece();
    Executable* executable = nullptr;
    const Status status = reference().compile.describe(reference().self, &p, &executable);
    out = ExecutablePointer(executable, reference().compile.destroy);
    return status;
  }
};

// Owns what core would: arena, packed weights.
struct Loaded {
  ExecutablePointer executable{nullptr, nullptr};
  std::vector<Lifetime> lifetimes;
  int64_t arena_bytes = 0;
  std::vector<std::byte> packed;

  explicit Loaded(const SmallPiece& piece) {
    const auto& compile = reference().compile;
    REQUIRE(piece.describe(executable) == Status::ok);
    ExecutableInfo info;
    REQUIRE(compile.info(executable.get(), &info) == Status::ok);
    lifetimes.assign(info.lifetimes, info.lifetimes + info.lifetime_count);
    std::vector<int64_t> offsets(lifetimes.size());
    std::vector<int32_t> scratch(2 * lifetimes.size());
    arena_bytes = plan_intervals(lifetimes.data(), info.lifetime_count, offsets.data(), scratch.data());
    REQUIRE(compile.plan(executable.get(), offsets.data()) == Status::ok);
    packed.resize(static_cast<size_t>(info.packed_bytes));
  }
};

NumberedSource source_of_small_piece() {
  NumberedSource source;
  source.row_elements = {0, 4, 1, 0, 2, 0, 0, 3, 0, 0};
  source.scales.resize(SmallPiece::kCount);
  source.scales[SmallPiece::weight] = {1, -0.5f};
  return source;
}

// The same calls by hand, on weights in memory's order.
std::vector<float> run_by_hand(const std::vector<float>& image) {
  using V = Values<float>;
  V x({1, 3, 3, 1}, image), weight({2, 2, 2, 1}, {100, 101, 102, 103, -55, -55.5f, -56, -56.5f}), bias({2}, {200, 210});
  V depthwise({1, 2, 2}, {400, 410, 401, 411}), linear({2, 3}, {700, 701, 702, 710, 711, 712});
  V hidden({1, 2, 2, 2}), deep({1, 2, 1, 2}), joined({2, 3}), slice({2, 1}, {image[3], image[4]}), y({2, 2});
  CHECK(run(Conv2dArgs{x, weight, bias, {}, hidden}) == Status::ok);
  CHECK(run(ActivateArgs{hidden, hidden, Activation::relu}) == Status::ok);
  CHECK(run(DepthwiseConv2dArgs{hidden, depthwise, {}, deep, {}}) == Status::ok);
  CHECK(run(CopySliceArgs{deep, joined, 2, 2, 2, 3, 0, 0}) == Status::ok);
  CHECK(run(CopySliceArgs{slice, joined, 2, 1, 1, 3, 0, 2}) == Status::ok);
  CHECK(run(MatmulArgs{joined, linear, {}, y, 0, 1}) == Status::ok);
  return y.data;
}

Status execute(const Loaded& loaded, std::vector<float> image, std::vector<float>& y, const char** kernels = nullptr) {
  std::vector<std::byte> arena(static_cast<size_t>(loaded.arena_bytes));
  void* buffers[SmallPiece::kCount] = {};
  buffers[SmallPiece::x] = image.data();
  buffers[SmallPiece::y] = y.data();
  const ExecuteArgs args{loaded.packed.data(), arena.data(), buffers, kernels};
  return reference().compile.execute(loaded.executable.get(), &args, nullptr);
}

const std::vector<float> kImage = {1, -2, 3, 0.5f, 4, -1, 2, 0, 1};

TEST_CASE("a compiled piece equals its calls run one by one") {
  Loaded loaded{SmallPiece()};  // the piece may go once it is described
  NumberedSource source = source_of_small_piece();
  REQUIRE(reference().compile.fill(loaded.executable.get(), loaded.packed.data(), &source.source) == Status::ok);
  std::vector<float> y(4);
  std::array<const char*, 6> kernels{};
  REQUIRE(execute(loaded, kImage, y, kernels.data()) == Status::ok);
  CHECK(y == run_by_hand(kImage));
  CHECK(y[0] != 0);
  CHECK(std::string(kernels[0]) == "reference.conv2d");
  CHECK(std::string(kernels[5]) == "reference.matmul");
}

TEST_CASE("temporaries live from their first use to their last, unused ones not at all") {
  const Loaded loaded{SmallPiece()};
  REQUIRE(loaded.lifetimes.size() == 3);
  const auto check = [&](int i, int64_t bytes, int32_t first, int32_t last) {
    CHECK(
        (loaded.lifetimes[i].bytes == bytes && loaded.lifetimes[i].first == first && loaded.lifetimes[i].last == last));
  };
  check(0, 32, 0, 2);  // hidden: conv, relu in place, depthwise
  check(1, 16, 2, 3);  // deep
  check(2, 24, 3, 5);  // joined: both slices, matmul
}

TEST_CASE("weights are stored in memory's order") {
  PieceBuffer buffers[] = {{BufferKind::constant, {2, 2, 1, 3}, DType::f64},
                           {BufferKind::constant, {2, 2, 3}, DType::f32}};
  const Piece piece{nullptr, buffers, 0, 2};
  Executable* executable = nullptr;
  REQUIRE(reference().compile.describe(nullptr, &piece, &executable) == Status::ok);
  const ExecutablePointer owner(executable, reference().compile.destroy);
  ExecutableInfo info;
  REQUIRE(reference().compile.info(executable, &info) == Status::ok);
  REQUIRE(info.packed_bytes == 128 + 64);  // each begins at a multiple of 64
  std::vector<double> packed(static_cast<size_t>(info.packed_bytes) / 8);
  NumberedSource source;
  source.row_elements = {6, 4};
  source.scales = {{1, 2}, {}};
  REQUIRE(reference().compile.fill(executable, packed.data(), &source.source) == Status::ok);

  packed.resize(12 + 4 + 8);
  const std::vector<double> dense(packed.begin(), packed.begin() + 12);
  // Row k is [C][R][S] = [3][2][1]; memory is [R][S][C].
  CHECK(dense == std::vector<double>{0, 2, 4, 1, 3, 5, 20, 24, 28, 22, 26, 30});
  const auto* depthwise = reinterpret_cast<const float*>(packed.data() + 16);
  // Row c is [R][S] = [2][2]; memory is [R][S][C].
  CHECK(std::vector<float>(depthwise, depthwise + 12) ==
        std::vector<float>{100, 110, 120, 101, 111, 121, 102, 112, 122, 103, 113, 123});
}

TEST_CASE("many threads execute one piece at once") {
  Loaded loaded{SmallPiece()};
  NumberedSource source = source_of_small_piece();
  REQUIRE(reference().compile.fill(loaded.executable.get(), loaded.packed.data(), &source.source) == Status::ok);
  std::array<int, 4> wrong{};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::vector<float> image = kImage, y(4), alone(4);
      image[0] = static_cast<float>(t);
      if (execute(loaded, image, alone) != Status::ok) ++wrong[t];
      for (int i = 0; i < 100; ++i) wrong[t] += execute(loaded, image, y) != Status::ok || y != alone;
    });
  for (auto& thread : threads) thread.join();
  CHECK(wrong == std::array<int, 4>{});
}

TEST_CASE("a source that fails ends the filling") {
  Loaded loaded{SmallPiece()};
  NumberedSource source = source_of_small_piece();
  source.answer = Status::device_error;
  CHECK(reference().compile.fill(loaded.executable.get(), loaded.packed.data(), &source.source) ==
        Status::device_error);
  CHECK(reference().compile.fill(loaded.executable.get(), nullptr, &source.source) == Status::invalid_argument);
  CHECK(reference().compile.fill(loaded.executable.get(), loaded.packed.data(), nullptr) == Status::invalid_argument);
}

TEST_CASE("describe refuses a piece that makes no sense") {
  SmallPiece p;
  ExecutablePointer e{nullptr, nullptr};
  SECTION("a buffer that is not there") { p.relu.y.data = virtual_address(SmallPiece::kCount); }
  SECTION("a real address") { p.relu.y.data = &p; }
  SECTION("a view past the end of its buffer") { p.join_x.x.data = virtual_address(SmallPiece::x, 8 * 4); }
  SECTION("a view between two elements") { p.join_x.x.data = virtual_address(SmallPiece::x, 2); }
  SECTION("a temporary read before it is written") { p.calls.erase(p.calls.begin() + 2); }
  SECTION("an input that is written") { p.relu.y = p.view(SmallPiece::x); }
  SECTION("a constant that is written") { p.join_x.y = p.view(SmallPiece::linear); }
  SECTION("a primitive that is not there") { p.calls[0].primitive = static_cast<Primitive>(kPrimitiveCount); }
  SECTION("no arguments") { p.calls[0].args = nullptr; }
  SECTION("a constant of integers") { p.buffers[SmallPiece::bias].dtype = DType::i64; }
  SECTION("a constant of five axes") { p.buffers[SmallPiece::bias].shape = {2, 1, 1, 1, 1}; }
  SECTION("a shape that overflows") { p.buffers[SmallPiece::unused].shape = {INT64_MAX, INT64_MAX}; }
  CHECK(p.describe(e) == Status::invalid_argument);
  CHECK(e == nullptr);
}

TEST_CASE("plan and execute refuse what is missing") {
  const auto& compile = reference().compile;
  ExecutablePointer e{nullptr, nullptr};
  REQUIRE(SmallPiece().describe(e) == Status::ok);
  std::vector<std::byte> packed(4096), arena(4096);
  float x[9] = {}, y[4] = {};
  void* buffers[SmallPiece::kCount] = {};
  buffers[SmallPiece::x] = x;
  buffers[SmallPiece::y] = y;
  ExecuteArgs args{packed.data(), arena.data(), buffers, nullptr};
  CHECK(compile.execute(e.get(), &args, nullptr) == Status::invalid_argument);  // not planned
  CHECK(compile.plan(e.get(), nullptr) == Status::invalid_argument);
  const int64_t crooked[] = {0, 64, 129}, before[] = {0, 64, -64}, good[] = {0, 64, 128};
  CHECK(compile.plan(e.get(), crooked) == Status::invalid_argument);
  CHECK(compile.plan(e.get(), before) == Status::invalid_argument);
  CHECK(compile.plan(e.get(), good) == Status::ok);
  CHECK(compile.execute(e.get(), &args, nullptr) == Status::ok);
  args.arena = nullptr;
  CHECK(compile.execute(e.get(), &args, nullptr) == Status::invalid_argument);
  args.arena = arena.data();
  buffers[SmallPiece::y] = nullptr;
  CHECK(compile.execute(e.get(), &args, nullptr) == Status::invalid_argument);
  args.buffers = nullptr;
  CHECK(compile.execute(e.get(), &args, nullptr) == Status::invalid_argument);
}

}  // namespace
}  // namespace graft::test
