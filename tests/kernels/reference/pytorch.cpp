// The reference against numbers that PyTorch computed in f64 (pytorch.py made them).
#include "tests/kernels/reference/pytorch_numbers.h"
#include "tests/kernels/reference/support.h"

namespace graft::test {
namespace {

TEST_CASE("a grouped, strided, dilated convolution with uneven padding equals PyTorch's") {
  auto x = pattern({2, 5, 6, 4}, 5), weight = pattern({6, 3, 2, 2}, 7), bias = pattern({6}, 3);
  auto residual = pattern({2, 3, 5, 6}, 9), dy = pattern({2, 3, 5, 6}, 11);
  Values y({2, 3, 5, 6}), dx(x.shape), dweight(weight.shape);
  const Conv2dParams conv{.stride = {2, 1}, .dilation = {1, 2}, .pad = {1, 2, 0, 1}, .groups = 2};
  CHECK(run(Conv2dArgs{x, weight, bias, residual, y, conv, Activation::silu}) == Status::ok);
  check_close(y.data, pytorch::conv2d_y);
  CHECK(run(Conv2dBackwardDataArgs{dy, weight, dx, conv}) == Status::ok);
  check_close(dx.data, pytorch::conv2d_dx);
  CHECK(run(Conv2dBackwardWeightArgs{x, dy, dweight, conv}) == Status::ok);
  check_close(dweight.data, pytorch::conv2d_dweight);
}

TEST_CASE("a strided depthwise convolution equals PyTorch's") {
  auto x = pattern({1, 5, 4, 3}, 5), weight = pattern({3, 3, 3}, 7), bias = pattern({3}, 3);
  auto dy = pattern({1, 3, 2, 3}, 11);
  Values y({1, 3, 2, 3}), dx(x.shape), dweight(weight.shape);
  const Conv2dParams conv{.stride = {2, 2}, .dilation = {}, .pad = {1, 1, 1, 1}};
  CHECK(run(DepthwiseConv2dArgs{x, weight, bias, y, {}, conv, Activation::relu6}) == Status::ok);
  check_close(y.data, pytorch::depthwise_y);
  CHECK(run(DepthwiseConv2dBackwardDataArgs{dy, weight, dx, conv}) == Status::ok);
  check_close(dx.data, pytorch::depthwise_dx);
  CHECK(run(DepthwiseConv2dBackwardWeightArgs{x, dy, dweight, conv}) == Status::ok);
  check_close(dweight.data, pytorch::depthwise_dweight);
}

TEST_CASE("batch norm + add + ReLU, its backward and its running statistics equal PyTorch's") {
  const Shape images{2, 2, 3, 2}, channels{2};
  auto x = pattern(images, 5), residual = pattern(images, 9), dy = pattern(images, 11);
  auto weight = pattern(channels, 7), bias = pattern(channels, 3);
  auto running_mean = pattern(channels, 6), running_var = pattern(channels, 2);
  for (double& v : running_var.data) v = std::abs(v);
  Values y(images), mean(channels), var(channels);
  Values<uint8_t> mask(mask_shape(images));
  CHECK(run(BatchNormTrainingArgs{x, weight, bias, residual, y, mean, var, mask, 1e-5, Activation::relu}) ==
        Status::ok);
  check_close(y.data, pytorch::batch_norm_y);
  CHECK(run(UpdateRunningStatsArgs{mean, var, {}, running_mean, running_var, 0.25, 12}) == Status::ok);
  check_close(running_mean.data, pytorch::batch_norm_running_mean);
  check_close(running_var.data, pytorch::batch_norm_running_var);

  Values dx(images), dweight(channels), dbias(channels), dresidual(images);
  CHECK(run(BatchNormBackwardArgs{x, dy, weight, bias, mean, var, mask, dx, dweight, dbias, dresidual, 1e-5, 1,
                                  Activation::relu}) == Status::ok);
  check_close(dx.data, pytorch::batch_norm_dx);
  check_close(dweight.data, pytorch::batch_norm_dweight);
  check_close(dbias.data, pytorch::batch_norm_dbias);
  check_close(dresidual.data, pytorch::batch_norm_dresidual);
}

TEST_CASE("pooling and its backward equal PyTorch's") {
  auto x = pattern({1, 5, 7, 2}, 5);
  Values dx(x.shape);
  SECTION("max") {
    const PoolParams pool{.window = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1}};
    Values y({1, 3, 4, 2});
    Values<uint8_t> index(y.shape);
    auto dy = pattern(y.shape, 11);
    CHECK(run(MaxPoolArgs{x, y, index, pool}) == Status::ok);
    check_close(y.data, pytorch::max_pool_y);
    CHECK(run(MaxPoolBackwardArgs{dy, index, dx, pool}) == Status::ok);
    check_close(dx.data, pytorch::max_pool_dx);
  }
  SECTION("average of the real pixels") {
    const PoolParams pool{.window = {3, 2}, .stride = {1, 2}, .pad = {1, 1, 1, 1}, .count_include_pad = 0};
    Values y({1, 5, 4, 2});
    auto dy = pattern(y.shape, 11);
    CHECK(run(AvgPoolArgs{x, y, pool}) == Status::ok);
    check_close(y.data, pytorch::avg_pool_y);
    CHECK(run(AvgPoolBackwardArgs{dy, dx, pool}) == Status::ok);
    check_close(dx.data, pytorch::avg_pool_dx);
  }
  SECTION("adaptive average") {
    Values y({1, 3, 4, 2});
    auto dy = pattern(y.shape, 11);
    CHECK(run(AdaptiveAvgPoolArgs{x, y}) == Status::ok);
    check_close(y.data, pytorch::adaptive_avg_pool_y);
    CHECK(run(AdaptiveAvgPoolBackwardArgs{dy, dx}) == Status::ok);
    check_close(dx.data, pytorch::adaptive_avg_pool_dx);
  }
}

TEST_CASE("softmax and cross-entropy with smoothing and class weights equal PyTorch's") {
  auto logits = pattern({4, 5}, 5), class_weights = pattern({5}, 7), dy = pattern({4, 5}, 11);
  for (double& w : class_weights.data) w = std::abs(w);
  Values<int64_t> targets({4}, {4, 0, 2, 2});
  Values loss({1}), dloss({1}, {3}), dlogits(logits.shape), y(logits.shape), dx(logits.shape);
  CHECK(run(SoftmaxCrossEntropyArgs{logits, targets, class_weights, loss, 0.1}) == Status::ok);
  check_close(loss.data, pytorch::cross_entropy_loss);
  CHECK(run(SoftmaxCrossEntropyBackwardArgs{logits, targets, class_weights, dloss, dlogits, 0.1}) == Status::ok);
  check_close(dlogits.data, pytorch::cross_entropy_dlogits);
  CHECK(run(SoftmaxArgs{logits, y}) == Status::ok);
  check_close(y.data, pytorch::softmax_y);
  CHECK(run(SoftmaxBackwardArgs{y, dy, dx}) == Status::ok);
  check_close(dx.data, pytorch::softmax_dx);
}

TEST_CASE("silu and its gradient equal PyTorch's") {
  auto x = pattern({9}, 5), dy = pattern({9}, 11);
  Values y({9});
  CHECK(run(ActivateArgs{x, y, Activation::silu}) == Status::ok);
  check_close(y.data, pytorch::silu_y);
  CHECK(run(ActivateBackwardArgs{x, dy, dy, Activation::silu}) == Status::ok);  // dx in dy's place
  check_close(dy.data, pytorch::silu_dx);
}

TEST_CASE("three steps of SGD and of AdamW equal PyTorch's") {
  auto parameter = pattern({5}, 5);
  Values lr({1}, {0.1}), m({5}, {0, 0, 0, 0, 0}), v({5}, {0, 0, 0, 0, 0});
  Values<int64_t> step({1}, {0});
  SECTION("SGD with Nesterov's momentum") {
    Values velocity({5}, std::vector<double>(5, kNaN));  // the first step does not look at it
    for (int k = 0; k < 3; ++k) {
      auto gradient = pattern({5}, 7 + k);
      CHECK(run(SgdArgs{gradient, lr, step, {}, {}, parameter, velocity, {}, 0.9, 0.01, 1}) == Status::ok);
      CHECK(run(FinishStepArgs{{}, step, {}, 0}) == Status::ok);
    }
    check_close(parameter.data, pytorch::sgd_parameter);
  }
  SECTION("AdamW") {
    for (int k = 0; k < 3; ++k) {
      auto gradient = pattern({5}, 7 + k);
      CHECK(run(AdamWArgs{gradient, lr, step, {}, {}, parameter, m, v, {}, 0.8, 0.9, 1e-3, 0.02}) == Status::ok);
      CHECK(run(FinishStepArgs{{}, step, {}, 0}) == Status::ok);
    }
    check_close(parameter.data, pytorch::adamw_parameter);
  }
  CHECK(step.data[0] == 3);
}

}  // namespace
}  // namespace graft::test
