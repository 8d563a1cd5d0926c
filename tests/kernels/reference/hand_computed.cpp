// Cases small enough to check in the head; each in f64 and f32.
#include "tests/kernels/reference/support.h"

namespace graft::test {
namespace {

TEMPLATE_TEST_CASE("convolution is cross-correlation: the kernel is not flipped", "", double, float) {
  using V = Values<TestType>;
  V x({1, 3, 3, 1}, {1, 2, 3,  //
                     4, 5, 6,  //
                     7, 8, 9});
  V weight({1, 2, 2, 1}, {1, 10, 100, 1000}), bias({1}, {0.5}), residual({1, 2, 2, 1}, {1, 2, 3, -9999}),
      y(residual.shape);
  CHECK(run(Conv2dArgs{x, weight, bias, residual, y, {}, Activation::relu}) == Status::ok);
  check_close(y.data, {1 + 20 + 400 + 5000 + 1.5, 2 + 30 + 500 + 6000 + 2.5, 4 + 50 + 700 + 8000 + 3.5, 0});
}

TEMPLATE_TEST_CASE("gradients of a convolution, tap by tap", "", double, float) {
  using V = Values<TestType>;
  // stride 2 and a pad of 1 on top and left: window (h,w) covers rows 2h − 1 and 2h, columns 2w − 1 and 2w
  const Conv2dParams conv{.stride = {2, 2}, .dilation = {}, .pad = {1, 0, 1, 0}};
  V x({1, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9}), weight({1, 2, 2, 1}, {1, 10, 100, 1000});
  V dy({1, 2, 2, 1}, {1, 2, 3, 4}), dx(x.shape), dweight(weight.shape);
  CHECK(run(Conv2dBackwardDataArgs{dy, weight, dx, conv}) == Status::ok);
  check_close(dx.data, {1 * 1000, 2 * 100, 2 * 1000,  //
                        3 * 10, 4 * 1, 4 * 10,        //
                        3 * 1000, 4 * 100, 4 * 1000});
  CHECK(run(Conv2dBackwardWeightArgs{x, dy, dweight, conv}) == Status::ok);
  check_close(dweight.data, {5 * 4, 4 * 3 + 6 * 4, 2 * 2 + 8 * 4, 1 * 1 + 3 * 2 + 7 * 3 + 9 * 4});
}

TEMPLATE_TEST_CASE("a group sees its own channels", "", double, float) {
  using V = Values<TestType>;
  V x({1, 1, 1, 4}, {1, 2, 3, 4}), weight({2, 1, 1, 2}, {1, 10, 1, 10}), y({1, 1, 1, 2});
  CHECK(run(Conv2dArgs{x, weight, {}, {}, y, {.stride = {}, .dilation = {}, .pad = {}, .groups = 2}}) == Status::ok);
  check_close(y.data, {21, 43});
}

TEMPLATE_TEST_CASE("batch norm with given statistics", "", double, float) {
  using V = Values<TestType>;
  V x({2, 2}, {1, 10, 5, -20}), weight({2}, {2, 3}), bias({2}, {0, 100}), mean({2}, {1, 10}), var({2}, {3, 24});
  V residual({2, 2}, {0, 0, 1, 0}), y({2, 2});
  CHECK(run(BatchNormInferenceArgs{x, weight, bias, mean, var, residual, y, {}, 1}) ==
        Status::ok);  // √(var + 1) is 2 and 5
  check_close(y.data, {0, 100, 5, 82});

  V dy({2, 2}, {1, 2, 3, 4}), dx({2, 2}), dweight({2}), dbias({2});
  CHECK(run(BatchNormBackwardArgs{x, dy, weight, {}, mean, var, {}, dx, dweight, dbias, {}, 1, 0}) == Status::ok);
  check_close(dx.data, {1, 1.2, 3, 2.4});      // dy · weight / 2 and / 5
  check_close(dweight.data, {3 * 2, 4 * -6});  // x̂ is 0, 2 in channel 0 and 0, −6 in channel 1
  check_close(dbias.data, {4, 6});
}

TEMPLATE_TEST_CASE("activations and their derivatives", "", double, float) {
  using V = Values<TestType>;
  const V x({5}, {-2, 0, 3, 6, 8}), ones({5}, {1, 1, 1, 1, 1});
  const auto both = [&](Activation activation, const std::vector<double>& y, const std::vector<double>& slope) {
    V in = x, out({5}), dy = ones, dx({5});
    CHECK(run(ActivateArgs{in, out, activation}) == Status::ok);
    check_close(out.data, y);
    CHECK(run(ActivateBackwardArgs{activation == Activation::silu ? in : out, dy, dx, activation}) == Status::ok);
    check_close(dx.data, slope);
  };
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  std::vector<double> y, slope;
  for (double v : {-2, 0, 3, 6, 8}) y.push_back(sigmoid(v)), slope.push_back(sigmoid(v) * sigmoid(-v));
  both(Activation::none, {-2, 0, 3, 6, 8}, {1, 1, 1, 1, 1});
  both(Activation::relu, {0, 0, 3, 6, 8}, {0, 0, 1, 1, 1});
  both(Activation::relu6, {0, 0, 3, 6, 6}, {0, 0, 1, 0, 0});
  both(Activation::sigmoid, y, slope);
}

TEMPLATE_TEST_CASE("elementwise sums and products, in place where allowed", "", double, float) {
  using V = Values<TestType>;
  V a({3}, {1, 2, 3}), b({3}, {10, 20, -30});
  CHECK(run(AddArgs{a, b, b, Activation::relu}) == Status::ok);
  check_close(b.data, {11, 22, 0});
  CHECK(run(ScaleArgs{a, a, -2}) == Status::ok);
  check_close(a.data, {-2, -4, -6});

  V x({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}), s({2, 2}, {1, 10, 100, 1000}), dy({2, 2, 2}, {1, 1, 2, 2, 1, 1, 3, 3}),
      ds({2, 2});
  CHECK(run(MultiplyReduceArgs{x, dy, ds, 2, 2, 2}) == Status::ok);
  check_close(ds.data, {1 + 6, 2 + 8, 5 + 21, 6 + 24});
  CHECK(run(MultiplyArgs{x, s, x, 2, 2, 2}) == Status::ok);
  check_close(x.data, {1, 20, 3, 40, 500, 6000, 700, 8000});
}

TEST_CASE("layout moves elements of any type") {
  Values<uint8_t> x({2, 1, 3}, {1, 2, 3, 4, 5, 6}), y({3, 2, 1});
  CHECK(run(PermuteArgs{x, y, {2, 0, 1}}) == Status::ok);
  CHECK(y.data == std::vector<uint8_t>{1, 4, 2, 5, 3, 6});

  Values<int64_t> part({2, 2}, {1, 2, 3, 4}), whole({2, 4}, {0, 0, 0, 0, 0, 0, 0, 0});
  CHECK(run(CopySliceArgs{part, whole, 2, 1, 2, 4, 1, 2}) == Status::ok);  // column 1 to column 2
  CHECK(whole.data == std::vector<int64_t>{0, 0, 2, 0, 0, 0, 4, 0});
}

TEMPLATE_TEST_CASE("the parameter-free shortcut", "", double, float) {
  using V = Values<TestType>;
  V x({1, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9}), y({1, 2, 2, 3}), dx(x.shape);
  CHECK(run(SubsamplePadArgs{x, y, 2, 1}) == Status::ok);
  check_close(y.data, {0, 1, 0, 0, 3, 0, 0, 7, 0, 0, 9, 0});
  V dy(y.shape, {5, 1, 5, 5, 2, 5, 5, 3, 5, 5, 4, 5});
  CHECK(run(SubsamplePadBackwardArgs{dy, dx, 2, 1}) == Status::ok);
  check_close(dx.data, {1, 0, 2, 0, 0, 0, 3, 0, 4});
}

TEMPLATE_TEST_CASE("pooling names its winner, the first of equals", "", double, float) {
  using V = Values<TestType>;
  V x({1, 2, 3, 1}, {5, 7, 7, 7, 1, 0}), y({1, 1, 2, 1}), mean(y.shape);
  Values<uint8_t> index(y.shape);
  const PoolParams pool{.window = {2, 2}, .stride = {1, 1}, .pad = {}};
  CHECK(run(MaxPoolArgs{x, y, index, pool}) == Status::ok);
  check_close(y.data, {7, 7});
  CHECK(index.data == std::vector<uint8_t>{1, 0});  // 7 at (0,1), not (1,0)
  V dy(y.shape, {10, 100}), dx(x.shape);
  CHECK(run(MaxPoolBackwardArgs{dy, index, dx, pool}) == Status::ok);
  check_close(dx.data, {0, 110, 0, 0, 0, 0});
  CHECK(run(AvgPoolArgs{x, mean, pool}) == Status::ok);
  check_close(mean.data, {5, 3.75});
}

TEMPLATE_TEST_CASE("an average counts padding if asked", "", double, float) {
  using V = Values<TestType>;
  V x({1, 1, 2, 1}, {3, 6}), y({1, 1, 1, 1}), dy({1, 1, 1, 1}, {12}), dx(x.shape);
  PoolParams pool{.window = {1, 3}, .stride = {1, 1}, .pad = {0, 0, 0, 1}};
  CHECK(run(AvgPoolArgs{x, y, pool}) == Status::ok);
  check_close(y.data, {3});
  CHECK(run(AvgPoolBackwardArgs{dy, dx, pool}) == Status::ok);
  check_close(dx.data, {4, 4});
  pool.count_include_pad = 0;
  CHECK(run(AvgPoolArgs{x, y, pool}) == Status::ok);
  check_close(y.data, {4.5});
  CHECK(run(AvgPoolBackwardArgs{dy, dx, pool}) == Status::ok);
  check_close(dx.data, {6, 6});
}

TEMPLATE_TEST_CASE("matrix products, each way round", "", double, float) {
  using V = Values<TestType>;
  V a({2, 3}, {1, 2, 3, 4, 5, 6}), at({3, 2}, {1, 4, 2, 5, 3, 6}), b({3, 2}, {1, 0, 0, 1, 1, 1}),
      bt({2, 3}, {1, 0, 1, 0, 1, 1});
  V bias({2}, {100, -100});
  for (int ta : {0, 1})
    for (int tb : {0, 1}) {
      V y({2, 2});
      CHECK(run(MatmulArgs{ta ? at : a, tb ? bt : b, bias, y, ta, tb, Activation::relu}) == Status::ok);
      check_close(y.data, {104, 0, 110, 0});
      CHECK(run(MatmulArgs{ta ? at : a, tb ? bt : b, {}, y, ta, tb}) == Status::ok);
      check_close(y.data, {4, 5, 10, 11});
    }
}

TEMPLATE_TEST_CASE("squeeze-and-excite's gate is two layers of what was squeezed", "", double, float) {
  using V = Values<TestType>;
  V squeeze({2, 2}, {8, 4, 0, -4}), weight1({3, 2}, {1, 0, 0, 1, 1, -1}), bias1({3}, {0, 2, -4});
  V weight2({2, 3}, {1, 2, 3, -1, 1, 0}), bias2({2}, {0, 0.5}), gate({2, 2});
  // means {2, 1} and {0, −1}; hidden {2, 3, 0} and {0, 1, 0}
  SqueezeExciteArgs args{squeeze, weight1, bias1, weight2, bias2, gate, 0.25, Activation::relu, Activation::none};
  CHECK(run(args) == Status::ok);
  check_close(gate.data, {8, 1.5, 2, 1.5});
  args.bias1 = args.bias2 = {};  // hidden {2, 1, 1} and {0, 0, 1}
  args.gate_activation = Activation::relu6;
  CHECK(run(args) == Status::ok);
  check_close(gate.data, {6, 0, 3, 0});
}

TEMPLATE_TEST_CASE("reductions of the middle axis and back", "", double, float) {
  using V = Values<TestType>;
  V x({2, 2, 2}, {1, 2, 3, 4, -5, -6, -7, -8}), y({2, 2}), wide({2, 2, 2});
  const auto reduced = [&](Reduction reduction) {
    CHECK(run(ReduceArgs{x, y, reduction, 2, 2, 2}) == Status::ok);
    return y.data;
  };
  check_close(reduced(Reduction::max), {3, 4, -5, -6});
  check_close(reduced(Reduction::mean), {2, 3, -6, -7});
  check_close(reduced(Reduction::sum), {4, 6, -12, -14});
  CHECK(run(BroadcastArgs{y, wide, 0.5, 2, 2, 2}) == Status::ok);
  check_close(wide.data, {2, 3, 2, 3, -6, -7, -6, -7});
}

TEMPLATE_TEST_CASE("cross-entropy of two even classes is log 2", "", double, float) {
  using V = Values<TestType>;
  V logits({2, 2}, {1000, 1000, -7, -7}), loss({1}), dloss({1}, {1}), dlogits({2, 2});
  Values<int64_t> targets({2}, {0, 1});
  CHECK(run(SoftmaxCrossEntropyArgs{logits, targets, {}, loss}) == Status::ok);
  check_close(loss.data, {std::log(2)});
  CHECK(run(SoftmaxCrossEntropyBackwardArgs{logits, targets, {}, dloss, dlogits}) == Status::ok);
  check_close(dlogits.data, {-0.25, 0.25, 0.25, -0.25});
}

TEST_CASE("a raised flag stops everything that moves") {
  Values gradient({1}, {2}), lr({1}, {0.5}), parameter({1}, {10}), velocity({1}, {1}), m({1}, {1}), v({1}, {1});
  Values mean({1}, {4}), var({1}, {4}), running_mean({1}, {0}), running_var({1}, {0});
  Values<int64_t> step({1}, {5}), flag({1}, {0}), state({2}, {7, 40});
  const auto move_all = [&] {
    CHECK(run(SgdArgs{gradient, lr, step, flag, {}, parameter, velocity, {}, 0.5, 0.1}) == Status::ok);
    CHECK(run(AdamWArgs{gradient, lr, step, flag, {}, parameter, m, v, {}, 0.5, 0.5, 0, 0}) == Status::ok);
    CHECK(run(UpdateRunningStatsArgs{mean, var, flag, running_mean, running_var, 0.5, 5}) == Status::ok);
    CHECK(run(FinishStepArgs{flag, step, state, 3}) == Status::ok);
  };
  Values x({2}, {1, kInf});
  CHECK(run(CheckFiniteArgs{gradient, flag}) == Status::ok);
  CHECK(flag.data[0] == 0);
  CHECK(run(CheckFiniteArgs{x, flag}) == Status::ok);
  CHECK(flag.data[0] == 1);
  CHECK(run(CheckFiniteArgs{gradient, flag}) == Status::ok);
  CHECK(flag.data[0] == 1);  // finite again, still up
  move_all();
  CHECK(parameter.data[0] == 10);
  CHECK((velocity.data[0] == 1 && m.data[0] == 1 && v.data[0] == 1));
  CHECK((running_mean.data[0] == 0 && running_var.data[0] == 0));
  CHECK((step.data[0] == 5 && state.data[1] == 40));

  flag.data[0] = 0;
  move_all();
  CHECK(velocity.data[0] == 3.5);  // 0.5 · 1 + 2 + 0.1 · 10
  CHECK((m.data[0] == 1.5 && v.data[0] == 2.5));
  CHECK((running_mean.data[0] == 2 && running_var.data[0] == 2.5));  // 0.5 · 4 · 5/4
  CHECK((step.data[0] == 6 && state.data[0] == 7 && state.data[1] == 43));
}

TEST_CASE("a clipped gradient is shorter before anything is made of it, and the copy is of what comes out") {
  Values gradient({2}, {3, -4}), norm({1}), factor({1}), lr({1}, {0.5});
  Values<int64_t> step({1}, {5}), flag({1}, {0});
  CHECK(run(ClipFactorArgs{gradient, flag, norm, factor, 10}) == Status::ok);
  CHECK((norm.data[0] == 5 && factor.data[0] == 1));  // short enough
  CHECK(run(ClipFactorArgs{gradient, flag, norm, factor, 2.5}) == Status::ok);
  CHECK((norm.data[0] == 5 && factor.data[0] == 0.5 && flag.data[0] == 0));

  Values parameter({2}, {10, 1}), velocity({2}, {1, 1});
  std::vector<uint16_t> copy(2);
  const TensorView bf16 = {copy.data(), {2}, DType::bf16};
  CHECK(run(SgdArgs{gradient, lr, step, flag, factor, parameter, velocity, bf16, 0.5, 0.1}) == Status::ok);
  CHECK(velocity.data == std::vector<double>{0.5 + 1.5 + 1, 0.5 - 2 + 0.1});  // momentum, half a gradient, decay
  CHECK(parameter.data == std::vector<double>{8.5, 1.7});
  CHECK(copy == std::vector<uint16_t>{0x4108, 0x3FDA});  // 8.5; 1.703125, the nearest to 1.7

  Values m({2}, {0, 0}), v({2}, {0, 0});
  CHECK(run(AdamWArgs{gradient, lr, step, flag, factor, parameter, m, v, {}, 0.5, 0.5, 0, 0}) == Status::ok);
  CHECK((m.data[0] == 0.75 && v.data[0] == 1.125));  // of half a gradient, 1.5

  gradient.data[1] = -kInf;
  CHECK(run(ClipFactorArgs{gradient, flag, norm, factor, 2.5}) == Status::ok);
  CHECK((norm.data[0] == kInf && factor.data[0] == 1 && flag.data[0] == 1));
  copy = {1, 1};
  CHECK(run(SgdArgs{gradient, lr, step, flag, factor, Values({2}, {8.5, 2}), velocity, bf16, 0.5, 0.1}) == Status::ok);
  CHECK(copy == std::vector<uint16_t>{0x4108, 0x4000});  // nothing moved, and is copied
}

TEST_CASE("an average follows slowly, and not while the flag is up") {
  Values parameter({2}, {4, -8}), average({2}, {0, 8});
  Values<int64_t> flag({1}, {1});
  CHECK(run(EmaArgs{parameter, flag, average, 0.75}) == Status::ok);
  CHECK(average.data == std::vector<double>{0, 8});
  flag.data[0] = 0;
  CHECK(run(EmaArgs{parameter, flag, average, 0.75}) == Status::ok);
  CHECK(average.data == std::vector<double>{1, 4});
}

TEST_CASE("a photo is halved, mirrored and normalised, one whose box does not fit is NaN") {
  // one row of four pixels: red 0 80 160 240, green 8 less two each, blue 255
  Values<uint8_t> pixels({12}, {0, 8, 255, 80, 6, 255, 160, 4, 255, 240, 2, 255});
  Values<int64_t> boxes({2, 12}, {0, 4, 1, 0, 0, 4, 1, 2, 1, 0, 0, 1,  //
                                  1, 4, 1, 0, 0, 4, 1, 2, 1, 0, 0, 1});
  Values y({2, 1, 2, 3});
  CHECK(run(ResizeImagesArgs{pixels, boxes, y, {0, 0, 0.5}, {1.0 / 255, 2.0 / 255, 0.25}}) == Status::ok);
  // weights 3/7 3/7 1/7 at the edge: the first pixel is (240 + 160) · 3/7 + 80 / 7 from the right
  const double red[] = {(3 * 240 + 3 * 160 + 80) / 7.0, (3 * 0 + 3 * 80 + 160) / 7.0};
  const double green[] = {(3 * 2 + 3 * 4 + 6) / 7.0, (3 * 8 + 3 * 6 + 4) / 7.0};
  check_close(y.data, {red[0], green[0] / 2, 2, red[1], green[1] / 2, 2, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN});
}

}  // namespace
}  // namespace graft::test
