// What the contract does not define is invalid_argument, and writes nothing. (The op table has rows for wrong shapes of
// every primitive; here are the checks that all share, and hostile numbers.)
#include <functional>

#include "contract/recording.h"
#include "tests/kernels/reference/support.h"

namespace graft::test {
namespace {

constexpr Status kInvalid = Status::invalid_argument;

TEST_CASE("every primitive refuses no arguments, absent views and impossible types") {
  for (int i = 0; i < kPrimitiveCount; ++i) {
    INFO(kPrimitives[i].name);
    REQUIRE(reference().run[i] != nullptr);
    CallContext context;
    CHECK(reference().run[i](&context, nullptr) == kInvalid);
    AnyArgs args{};
    CHECK(reference().run[i](&context, args.bytes) == kInvalid);  // all absent, attributes 0
    char memory[64] = {};
    for (int v = 0; v < kPrimitives[i].roles.total(); ++v)
      views_of(args.bytes)[v] = {memory, {1}, static_cast<DType>(200)};
    CHECK(reference().run[i](&context, args.bytes) == kInvalid);
    CHECK(context.kernel == nullptr);
  }
}

TEST_CASE("a kernel is named after its primitive") {
  Values y({1});
  const FillArgs args{y, 1};
  CallContext context;
  CHECK(reference().run[static_cast<int>(Primitive::fill)](&context, &args) == Status::ok);
  CHECK(std::string(context.kernel) == "reference.fill");
  CHECK(reference().run[static_cast<int>(Primitive::fill)](nullptr, &args) == Status::ok);
}

TEST_CASE("views: extents, sizes and memory") {
  Values x({2, 3}), y({2, 3});
  const auto with = [&](const std::function<void(TensorView&)>& change) {
    TensorView changed = x, out = y;
    change(changed);
    out.shape = changed.shape;
    return run(ScaleArgs{changed, out, 1});
  };
  CHECK(with([](TensorView&) {}) == Status::ok);
  CHECK(with([](TensorView& v) { v.data = nullptr; }) == kInvalid);
  CHECK(with([](TensorView& v) { v.shape.rank = kMaxRank + 1; }) == kInvalid);
  CHECK(with([](TensorView& v) { v.shape.rank = -1; }) == kInvalid);
  CHECK(with([](TensorView& v) { v.shape = {-2, -3}; }) == kInvalid);
  CHECK(with([](TensorView& v) { v.shape = {int64_t{1} << 32, int64_t{1} << 32}; }) == kInvalid);  // 2^64 is 0
  CHECK(with([](TensorView& v) { v.shape = {0, INT64_MAX}; }) == kInvalid);
  CHECK(with([](TensorView& v) { v.shape = {0, 3}, v.data = nullptr; }) == Status::ok);
}

TEST_CASE("types: floats only, and all alike") {
  Values x({2}), y({2});
  Values<float> f({2});
  Values<int64_t> i({2});
  CHECK(run(ScaleArgs{x, f, 1}) == kInvalid);
  CHECK(run(ScaleArgs{i, i, 1}) == kInvalid);
  CHECK(run(CopySliceArgs{x, f, 1, 2, 2, 2, 0, 0}) == kInvalid);
  std::vector<uint16_t> h(2);
  TensorView half{h.data(), {2}, DType::f16};
  CHECK(run(ActivateArgs{half, half}) == kInvalid);
}

TEST_CASE("an output shares memory only where the contract allows it, and then exactly") {
  Values x({2, 2}, {1, 2, 3, 4}), y({2, 2});
  TensorView shifted{x.data.data() + 1, {3}, DType::f64}, front{x.data.data(), {3}, DType::f64};
  CHECK(run(ScaleArgs{x, x, 1}) == Status::ok);
  CHECK(run(ScaleArgs{front, shifted, 1}) == kInvalid);
  CHECK(run(MatmulArgs{x, y, {}, x}) == kInvalid);
  CHECK(run(SoftmaxArgs{x, x}) == kInvalid);
  CHECK(run(ActivateBackwardArgs{x, y, x, Activation::relu}) == kInvalid);  // dx may be dy, not what was saved
  CHECK(run(CopySliceArgs{x, x, 1, 1, 4, 4, 0, 2}) == kInvalid);
  Values channels({2}, {1, 1}), mean({2});
  CHECK(run(BatchNormTrainingArgs{x, channels, channels, {}, y, mean, mean}) == kInvalid);  // two outputs
  CHECK(x.data == std::vector<double>{1, 2, 3, 4});
}

TEST_CASE("windows: no division by zero, no negative pads, no overflow") {
  Values x({1, 4, 4, 2}), weight({2, 2, 2, 2}), y({1, 3, 3, 2});
  const auto with = [&](const Conv2dParams& conv) { return run(Conv2dArgs{x, weight, {}, {}, y, conv}); };
  CHECK(with({}) == Status::ok);
  y.data.assign(y.data.size(), 111);
  for (int32_t bad : {0, -1, INT32_MIN, INT32_MAX}) {
    INFO(bad);
    CHECK(with({.stride = {bad, 1}, .dilation = {}, .pad = {}}) == kInvalid);
    CHECK(with({.stride = {1, bad}, .dilation = {}, .pad = {}}) == kInvalid);
    CHECK(with({.stride = {}, .dilation = {bad, 1}, .pad = {}}) == kInvalid);
    CHECK(with({.stride = {}, .dilation = {1, bad}, .pad = {}}) == kInvalid);
    CHECK(with({.stride = {}, .dilation = {}, .pad = {}, .groups = bad}) == kInvalid);
    if (bad == 0) continue;
    CHECK(with({.stride = {}, .dilation = {}, .pad = {bad, 0, 0, 0}}) == kInvalid);
    CHECK(with({.stride = {}, .dilation = {}, .pad = {0, bad, 0, 0}}) == kInvalid);
    CHECK(with({.stride = {}, .dilation = {}, .pad = {0, 0, bad, 0}}) == kInvalid);
    CHECK(with({.stride = {}, .dilation = {}, .pad = {0, 0, 0, bad}}) == kInvalid);
  }
  CHECK(with({.stride = {}, .dilation = {}, .pad = {-1, 1, 0, 0}}) == kInvalid);  // the sizes would fit
  CHECK(y.data == std::vector<double>(18, 111));
}

TEST_CASE("pools: every window holds a pixel, an index fits in a byte") {
  Values x({1, 2, 2, 1}), y({1, 3, 3, 1}), dx(x.shape);
  Values<uint8_t> index(y.shape);
  const PoolParams pool{.window = {2, 2}, .stride = {1, 1}, .pad = {1, 1, 1, 1}};
  CHECK(run(MaxPoolArgs{x, y, index, pool}) == Status::ok);
  const PoolParams no_pixel{
      .window = {2, 2}, .stride = {3, 3}, .pad = {3, 4, 3, 4}};  // 3 windows, the first on padding
  CHECK(run(MaxPoolArgs{x, y, index, no_pixel}) == kInvalid);
  CHECK(run(AvgPoolArgs{x, y, no_pixel}) == kInvalid);
  CHECK(run(AvgPoolBackwardArgs{y, dx, {.window = {0, 2}, .stride = {1, 1}, .pad = {1, 1, 1, 1}}}) == kInvalid);

  Values wide({1, 1, 256, 1}), one({1, 1, 1, 1});
  Values<uint8_t> small(one.shape);
  CHECK(run(MaxPoolArgs{wide, one, small, {.window = {1, 256}, .stride = {}, .pad = {}}}) == kInvalid);
  CHECK(run(MaxPoolArgs{wide, one, {}, {.window = {1, 256}, .stride = {}, .pad = {}}}) == Status::ok);

  index.data.assign(9, 255);  // a winner that is in no window gets nothing, and reads nothing
  CHECK(run(MaxPoolBackwardArgs{y, index, dx, pool}) == Status::ok);
  CHECK(dx.data == std::vector<double>{0, 0, 0, 0});
}

TEST_CASE("factors that overflow to the right size are refused") {
  Values x({4}), s({4}), y({4});
  const int64_t big = int64_t{1} << 62;
  CHECK(run(MultiplyArgs{x, s, y, 4, 1, 1}) == Status::ok);
  CHECK(run(MultiplyArgs{x, s, y, big + 1, 4, 1}) == kInvalid);  // (2^62 + 1) · 4 is 4 modulo 2^64
  CHECK(run(ReduceArgs{x, s, Reduction::sum, -4, -1, 1}) == kInvalid);
  CHECK(run(CopySliceArgs{x, y, 1, 2, 4, 4, INT64_MAX, 0}) == kInvalid);
  CHECK(run(CopySliceArgs{x, y, 1, 2, 4, 4, 0, 3}) == kInvalid);
  CHECK(run(CopySliceArgs{x, y, 1, INT64_MAX, 4, 4, 0, 0}) == kInvalid);
  Values image({1, 2, 2, 2}), half({1, 1, 1, 3});
  CHECK(run(SubsamplePadArgs{image, half, 2, 1}) == Status::ok);
  CHECK(run(SubsamplePadArgs{image, half, 2, 2}) == kInvalid);
  CHECK(run(SubsamplePadArgs{image, half, 2, -1}) == kInvalid);
  CHECK(run(SubsamplePadArgs{image, half, 0, 0}) == kInvalid);
}

TEST_CASE("attributes outside their range") {
  Values x({2, 2}), y({2, 2}), c({2}), d({2}), e({2}), one({1}), lr({1}, {0.1}), p({2}), q({2});
  Values<int64_t> step({1}, {0}), state({2}, {0, 0}), targets({2}, {0, 1});
  for (double bad : {-0.5, 1.0, kNaN, kInf}) CHECK(run(BernoulliMaskArgs{state, y, bad}) == kInvalid);
  for (double bad : {-1e-5, kNaN}) CHECK(run(BatchNormTrainingArgs{x, c, c, {}, y, d, e, {}, bad}) == kInvalid);
  for (double bad : {-0.1, 1.1, kNaN}) {
    CHECK(run(SoftmaxCrossEntropyArgs{x, targets, {}, one, bad}) == kInvalid);
    CHECK(run(UpdateRunningStatsArgs{c, c, {}, d, e, bad, 4}) == kInvalid);
    CHECK(run(AdamWArgs{c, lr, step, {}, {}, d, p, q, {}, bad}) == kInvalid);
    CHECK(run(AdamWArgs{c, lr, step, {}, {}, d, p, q, {}, 0.9, bad}) == kInvalid);
  }
  CHECK(run(UpdateRunningStatsArgs{c, c, {}, d, e, 0.1, 1}) == kInvalid);  // one row has no unbiased variance
  CHECK(run(SgdArgs{c, lr, step, {}, {}, d, {}, {}, 0.9}) == kInvalid);    // momentum without velocity
  CHECK(run(SgdArgs{c, lr, step, {}, {}, d, {}, {}, 0}) == Status::ok);
  for (Activation any : {Activation::silu, Activation::relu})  // neither bias nor mask
    CHECK(run(BatchNormBackwardArgs{x, x, c, {}, c, c, {}, y, {}, {}, {}, 1e-5, 1, any}) == kInvalid);
  CHECK(run(PermuteArgs{x, y, {0, 0}}) == kInvalid);
  CHECK(run(ReduceArgs{x, c, static_cast<Reduction>(3), 2, 2, 1}) == kInvalid);
  for (int bad : {-1, 5}) CHECK(run(AddArgs{x, x, y, static_cast<Activation>(bad)}) == kInvalid);
}

}  // namespace
}  // namespace graft::test
