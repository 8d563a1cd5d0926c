// The bound of each primitive, with the magnitudes of those that are no sums of products.
#include <algorithm>
#include <cmath>

#include "bench/bound.h"

namespace graft::bench {

namespace {

// silu: |dy| · σ · (1 + |x| · (1 − σ)); the others are products of rounded numbers
void activate_backward_magnitude(const ActivateBackwardArgs& call, const ActivateBackwardArgs& magnitude) {
  if (call.activation != Activation::silu) return;
  for (int64_t e = 0; e < call.dx.numel(); ++e) {
    const double x_e = call.saved.as<double>()[e], sigma = 1 / (1 + std::exp(-x_e));
    magnitude.dx.as<double>()[e] = std::abs(call.dy.as<double>()[e]) * sigma * (1 + std::abs(x_e) * (1 - sigma));
  }
}

const double* numbers(const TensorView& v) { return v.as<const double>(); }

// Calls f(element, channel).
void for_each_element(const TensorView& x, auto f) {
  const int64_t channels = x.shape.channels();
  for (int64_t e = 0; e < x.numel(); ++e) f(e, e % channels);
}

// mean: Σ|x| / m; y: (|x| + Σ|x| / m) · |weight| / √(var + eps) + |bias| + |residual|, as it inherits what the mean
// lost; var is as exact as a sum of squares
void training_magnitude(const BatchNormTrainingArgs& call, const BatchNormTrainingArgs& magnitude) {
  const auto m = static_cast<double>(call.x.shape.rows());
  for_each_element(call.x, [&](int64_t e, int64_t c) {
    magnitude.mean.as<double>()[c] += std::abs(numbers(call.x)[e]) / m;
    magnitude.var.as<double>()[c] = numbers(call.var)[c];
  });
  for_each_element(call.x, [&](int64_t e, int64_t c) {
    const double x_size = std::abs(numbers(call.x)[e]) + numbers(magnitude.mean)[c];
    const double scale = std::abs(numbers(call.weight)[c]) / std::sqrt(numbers(call.var)[c] + call.eps);
    magnitude.y.as<double>()[e] = x_size * scale + std::abs(numbers(call.bias)[c]) +
                                  (call.residual.present() ? std::abs(numbers(call.residual)[e]) : 0);
  });
}

// The sums with all signs positive: Σ|g|, Σ|g|·(|x| + |mean|)·inv_std, and dx from them; where z is made again its
// error goes into g, |g| = |dy| · (1 + |z|), as no act″ is larger than 1.
void backward_magnitude(const BatchNormBackwardArgs& call, const BatchNormBackwardArgs& magnitude) {
  const auto channels = static_cast<size_t>(call.x.shape.channels());
  const auto m = static_cast<double>(call.x.shape.rows());
  std::vector<double> dbias_size(channels, 0), dweight_size(channels, 0);
  const auto x_hat_size = [&](int64_t e, int64_t c) {
    return (std::abs(numbers(call.x)[e]) + std::abs(numbers(call.mean)[c])) /
           std::sqrt(numbers(call.var)[c] + call.eps);
  };
  const bool makes_z = call.activation != Activation::none && !call.mask.present();
  const auto g_size = [&](int64_t e, int64_t c) {  // an infinite dy is one that the activation does not let pass
    const double size = std::abs(numbers(call.dy)[e]);
    if (!std::isfinite(size)) return 0.0;
    if (!makes_z) return size;
    return size * (1 + x_hat_size(e, c) * std::abs(numbers(call.weight)[c]) + std::abs(numbers(call.bias)[c]));
  };
  for_each_element(call.x, [&](int64_t e, int64_t c) {
    dbias_size[c] += g_size(e, c);
    dweight_size[c] += g_size(e, c) * x_hat_size(e, c);
    if (magnitude.dresidual.present()) magnitude.dresidual.as<double>()[e] = g_size(e, c);
  });
  if (magnitude.dbias.present()) std::copy(dbias_size.begin(), dbias_size.end(), magnitude.dbias.as<double>());
  if (magnitude.dweight.present()) std::copy(dweight_size.begin(), dweight_size.end(), magnitude.dweight.as<double>());
  if (!magnitude.dx.present()) return;
  for_each_element(call.x, [&](int64_t e, int64_t c) {
    const double scale = std::abs(numbers(call.weight)[c]) / std::sqrt(numbers(call.var)[c] + call.eps);
    double size = g_size(e, c);
    if (call.batch_statistics) size += dbias_size[c] / m + x_hat_size(e, c) * dweight_size[c] / m;
    magnitude.dx.as<double>()[e] = scale * size;
  });
}

// |y| · (|dy| + Σ|y·dy|)
void softmax_backward_magnitude(const SoftmaxBackwardArgs& call, const SoftmaxBackwardArgs& magnitude) {
  const auto *y_data = call.y.as<const double>(), *dy_data = call.dy.as<const double>();
  const int64_t classes = call.y.shape.channels();
  for (int64_t row = 0; row < call.y.numel(); row += std::max<int64_t>(classes, 1)) {
    double sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += std::abs(y_data[row + k] * dy_data[row + k]);
    for (int64_t k = 0; k < classes; ++k)
      magnitude.dx.as<double>()[row + k] = std::abs(y_data[row + k]) * (std::abs(dy_data[row + k]) + sum);
  }
}

// The loss is a mean of differences of logits: the largest |logit| and log K bound each. Its rounding errors average
// like the losses themselves.
void loss_magnitude(const SoftmaxCrossEntropyArgs& call, const SoftmaxCrossEntropyArgs& magnitude) {
  double largest = std::log(static_cast<double>(call.logits.shape[1]) + 1);
  for (int64_t e = 0; e < call.logits.numel(); ++e)
    if (const double size = std::abs(call.logits.as<const double>()[e]); std::isfinite(size))
      largest = std::max(largest, size);
  magnitude.loss.as<double>()[0] = largest;
}

// dlogits = dloss / W · (w·p − …): every term at most |dloss| · (w_t + mean w) / W, and p itself is as exact as the
// difference of logits in the exponent, which `factor` covers for |logits| <= 8.
void dlogits_magnitude(const SoftmaxCrossEntropyBackwardArgs& call, const SoftmaxCrossEntropyBackwardArgs& magnitude) {
  const int64_t rows_count = call.logits.shape[0], classes = call.logits.shape[1];
  const double smoothing = call.label_smoothing;
  const auto* target = call.targets.as<const int64_t>();
  const auto weight_of = [&](int64_t k) {
    return call.class_weights.present() ? call.class_weights.as<const double>()[k] : 1.0;
  };
  double total = 0, mean_weight = 0;
  if (std::any_of(target, target + rows_count, [&](int64_t t) { return t < 0 || t >= classes; })) return;  // all NaN
  for (int64_t i = 0; i < rows_count; ++i) total += weight_of(target[i]);
  for (int64_t k = 0; k < classes; ++k) mean_weight += weight_of(k) / static_cast<double>(classes);
  for (int64_t i = 0; i < rows_count; ++i) {
    const double* z = call.logits.as<const double>() + i * classes;
    const double largest = *std::max_element(z, z + classes);
    double sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += std::exp(z[k] - largest);
    for (int64_t k = 0; k < classes; ++k) {
      const double p = std::exp(z[k] - largest) / sum, w_t = (1 - smoothing) * weight_of(target[i]);
      const double terms = (w_t + smoothing * mean_weight) * p + (k == target[i] ? w_t : 0) +
                           smoothing / static_cast<double>(classes) * weight_of(k);
      magnitude.dlogits.as<double>()[i * classes + k] = std::abs(call.dloss.as<const double>()[0]) / total * terms;
    }
  }
}

// Terms are of the order of white; a bicubic filter's weights reach 1.3 times their sum, along either axis.
void resize_magnitude(const ResizeImagesArgs& call, const ResizeImagesArgs& magnitude) {
  for (int64_t i = 0; i < magnitude.y.numel(); ++i)
    magnitude.y.as<double>()[i] = (1.7 + std::abs(call.mean[i % 3])) / call.std[i % 3];
}

}  // namespace

Bound bound_of(Primitive primitive) {
  switch (primitive) {
    case Primitive::conv2d:
    case Primitive::conv2d_backward_data:
    case Primitive::depthwise_conv2d:
    case Primitive::depthwise_conv2d_backward_data:
    case Primitive::depthwise_conv2d_backward_weight:
    case Primitive::update_running_stats:
    case Primitive::add:
    case Primitive::multiply_reduce:
    case Primitive::max_pool_backward:
    case Primitive::avg_pool:
    case Primitive::avg_pool_backward:
    case Primitive::adaptive_avg_pool:
    case Primitive::adaptive_avg_pool_backward:
    case Primitive::matmul:
    case Primitive::reduce:
    case Primitive::ema:
      return linear();
    // Gradients in a network are uneven: once a few large terms are in the sum, each of the √n roundings that remain is
    // half a unit of nearly the whole of it.
    case Primitive::conv2d_backward_weight:
      return linear(8);
    // The roundings of two sums; silu between them makes an error at most a tenth larger.
    case Primitive::squeeze_excite:
      return linear(9);
    case Primitive::batch_norm_training:
      return custom<BatchNormTrainingArgs>(6, training_magnitude);
    case Primitive::batch_norm_inference:
      return linear(6, {3});  // the mean is subtracted
    case Primitive::batch_norm_backward:
      return custom<BatchNormBackwardArgs>(6, backward_magnitude);
    case Primitive::activate:
      return relative(8);
    case Primitive::activate_backward:
      return custom<ActivateBackwardArgs>(8, activate_backward_magnitude);
    case Primitive::multiply:
    case Primitive::bernoulli_mask:
      return relative(1);
    case Primitive::scale:
    case Primitive::broadcast:
    case Primitive::clip_factor:
      return relative(2);
    case Primitive::softmax:
      return relative(32);
    case Primitive::softmax_backward:
      return custom<SoftmaxBackwardArgs>(4, softmax_backward_magnitude);
    case Primitive::softmax_cross_entropy:
      return custom<SoftmaxCrossEntropyArgs>(8, loss_magnitude);
    case Primitive::softmax_cross_entropy_backward:
      return custom<SoftmaxCrossEntropyBackwardArgs>(32, dlogits_magnitude);
    case Primitive::sgd:
      return linear(4, {1});  // the learning rate is subtracted
    case Primitive::adamw:
      return linear(8, {1});
    case Primitive::resize_images:
      return custom<ResizeImagesArgs>(16, resize_magnitude);
    case Primitive::fill:
    case Primitive::cast:
    case Primitive::permute:
    case Primitive::copy_slice:
    case Primitive::subsample_pad:
    case Primitive::subsample_pad_backward:
    case Primitive::max_pool:
    case Primitive::check_finite:
    case Primitive::finish_step:
      break;
  }
  return exact();
}

}  // namespace graft::bench
