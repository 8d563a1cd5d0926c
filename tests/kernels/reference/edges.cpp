// NaN and infinity, empty tensors, sums longer than f32 can hold.
#include "tests/kernels/reference/support.h"

namespace graft::test {
namespace {

TEST_CASE("NaN stays NaN through every activation, infinity where it should") {
  for (const auto& [activation, low, high] : {std::tuple{Activation::none, -kInf, kInf},
                                              {Activation::relu, 0, kInf},
                                              {Activation::relu6, 0, 6},
                                              {Activation::silu, kNaN, kInf},
                                              {Activation::sigmoid, 0, 1}}) {
    Values x({3}, {kNaN, -kInf, kInf}), y({3});
    CHECK(run(ActivateArgs{x, y, activation}) == Status::ok);
    check_close(y.data, {kNaN, low, high});
  }
}

TEST_CASE("what an activation stops is 0, not 0 times infinity") {
  Values y({3}, {0, 6, kNaN}), dy({3}, {kInf, kNaN, 1}), dx({3});
  CHECK(run(ActivateBackwardArgs{y, dy, dx, Activation::relu6}) == Status::ok);
  check_close(dx.data, {0, 0, 0});
}

TEST_CASE("padding is left out, not multiplied by 0") {
  Values x({1, 1, 1, 1}, {2}), weight({1, 1, 3, 1}, {kNaN, 5, kInf}), depthwise({1, 3, 1}, {kNaN, 5, kInf}), y(x.shape);
  const Conv2dParams conv{.stride = {}, .dilation = {}, .pad = {0, 0, 1, 1}};
  CHECK(run(Conv2dArgs{x, weight, {}, {}, y, conv}) == Status::ok);
  check_close(y.data, {10});
  y.data = {0};
  CHECK(run(DepthwiseConv2dArgs{x, depthwise, {}, y, {}, conv}) == Status::ok);
  check_close(y.data, {10});
}

TEST_CASE("the first NaN wins a maximum, −∞ beats padding") {
  Values x({1, 1, 4, 1}, {1, kNaN, kNaN, 9}), y({1, 1, 1, 1});
  Values<uint8_t> index(y.shape);
  CHECK(run(MaxPoolArgs{x, y, index, {.window = {1, 4}, .stride = {}, .pad = {}}}) == Status::ok);
  check_close(y.data, {kNaN});
  CHECK(index.data[0] == 1);
  CHECK(run(ReduceArgs{x, y, Reduction::max, 1, 4, 1}) == Status::ok);
  check_close(y.data, {kNaN});

  Values low({1, 1, 1, 1}, {-kInf});
  CHECK(run(MaxPoolArgs{low, y, index, {.window = {1, 2}, .stride = {}, .pad = {0, 0, 1, 0}}}) == Status::ok);
  check_close(y.data, {-kInf});
  CHECK(index.data[0] == 1);
}

TEST_CASE("softmax: large numbers do not overflow, hopeless rows are NaN") {
  Values x({5, 2}, {1e4, 1e4, -kInf, 3, kNaN, 0, kInf, 0, -kInf, -kInf}), y({5, 2});
  CHECK(run(SoftmaxArgs{x, y}) == Status::ok);
  check_close(y.data, {0.5, 0.5, 0, 1, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN});
}

TEST_CASE("cross-entropy: a target that is no class, no rows, a logit of −∞") {
  Values loss({1}), dloss({1}, {1});
  for (int64_t bad : {int64_t{-1}, int64_t{2}, INT64_MIN, INT64_MAX}) {
    Values logits({2, 2}, {1, 2, 3, 4}), weights({2}, {0, 1}), dlogits({2, 2});
    Values<int64_t> targets({2}, {0, bad});
    CHECK(run(SoftmaxCrossEntropyArgs{logits, targets, weights, loss}) == Status::ok);
    CHECK(std::isnan(loss.data[0]));
    CHECK(run(SoftmaxCrossEntropyBackwardArgs{logits, targets, weights, dloss, dlogits}) == Status::ok);
    check_close(dlogits.data, {kNaN, kNaN, kNaN, kNaN});
  }
  Values none({0, 3}), some({1, 2}, {-kInf, 0});
  Values<int64_t> nothing({0}), second({1}, {1});
  CHECK(run(SoftmaxCrossEntropyArgs{none, nothing, {}, loss}) == Status::ok);
  CHECK(std::isnan(loss.data[0]));
  CHECK(run(SoftmaxCrossEntropyArgs{some, second, {}, loss}) == Status::ok);
  CHECK(loss.data[0] == 0);
}

TEST_CASE("a non-finite number anywhere raises the flag") {
  for (double bad : {kNaN, kInf, -kInf}) {
    Values<float> x({3}, {1, std::numeric_limits<float>::max(), static_cast<float>(bad)});
    Values<int64_t> flag({1}, {0});
    CHECK(run(CheckFiniteArgs{x, flag}) == Status::ok);
    CHECK(flag.data[0] == 1);
  }
}

TEST_CASE("empty tensors") {
  Values no_images({0, 4, 4, 3}), weight({2, 3, 3, 3}, std::vector<double>(54, 1)), no_y({0, 2, 2, 2}),
      dweight(weight.shape);
  CHECK(run(Conv2dArgs{no_images, weight, {}, {}, no_y}) == Status::ok);
  CHECK(run(Conv2dBackwardWeightArgs{no_images, no_y, dweight}) == Status::ok);
  CHECK(dweight.data == std::vector<double>(54, 0));

  Values no_rows({0, 2}), ones({2}, {1, 1}), mean({2}), var({2}), dweight2({2}), dbias({2});
  CHECK(run(BatchNormTrainingArgs{no_rows, ones, ones, {}, no_rows, mean, var}) == Status::ok);
  check_close(mean.data, {kNaN, kNaN});
  check_close(var.data, {kNaN, kNaN});
  CHECK(run(BatchNormBackwardArgs{no_rows, no_rows, ones, {}, ones, ones, {}, {}, dweight2, dbias, {}}) == Status::ok);
  check_close(dweight2.data, {0, 0});
  check_close(dbias.data, {0, 0});

  Values a({2, 0}), b({0, 3}), bias({3}, {1, -1, 2}), product({2, 3});
  CHECK(run(MatmulArgs{a, b, bias, product, 0, 0, Activation::relu}) == Status::ok);
  check_close(product.data, {1, 0, 2, 1, 0, 2});

  Values nothing({2, 0}), sums({2});
  for (const auto& [reduction, expected] :
       {std::pair{Reduction::sum, 0.0}, {Reduction::mean, kNaN}, {Reduction::max, kNaN}}) {
    CHECK(run(ReduceArgs{nothing, sums, reduction, 2, 0, 1}) == Status::ok);
    check_close(sums.data, {expected, expected});
  }
  CHECK(run(SoftmaxArgs{nothing, nothing}) == Status::ok);
}

TEST_CASE("f32 sums are taken in double") {
  const int64_t count = 1 << 12;
  Values<float> x({1, count}), ones({count, 1}), y({1, 1}), sum({1});
  x.data.assign(count, 1);
  ones.data.assign(count, 1);
  x.data[0] = 0x1p24f;  // in f32, adding 1 to this changes nothing
  CHECK(run(MatmulArgs{x, ones, {}, y}) == Status::ok);
  CHECK(y.data[0] == 0x1p24f + count);  // one rounding, at the end, of 2^24 + 4095
  CHECK(run(ReduceArgs{x, sum, Reduction::sum, 1, count, 1}) == Status::ok);
  CHECK(sum.data[0] == 0x1p24f + count);
}

}  // namespace
}  // namespace graft::test
