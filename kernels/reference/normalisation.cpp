// Batch norm (Ioffe & Szegedy 2015): per channel, over all rows m = N·H·W.
#include <algorithm>
#include <cmath>

#include "kernels/reference/activation.h"
#include "kernels/reference/checks.h"
#include "kernels/reference/primitives.h"
#include "kernels/reference/views.h"

namespace graft::reference {

namespace {

bool are_per_channel(const TensorView& x, const TensorView& a, const TensorView& b, const TensorView& c,
                     const TensorView& d) {
  const Shape channels{x.shape.channels()};
  return is(a, x.dtype, channels) && is(b, x.dtype, channels) && is(c, x.dtype, channels) && is(d, x.dtype, channels);
}

// x̂ and its derivative need no more than this.
struct Normaliser {
  double mean, inv_std;
  double operator()(double x) const { return (x - mean) * inv_std; }
};

bool masks(Activation a) { return a == Activation::relu || a == Activation::relu6; }

// mask? has a bit for each element, of relu and relu6 alone.
bool mask_fits(const TensorView& mask, const TensorView& x, Activation activation) {
  return !mask.present() || (masks(activation) && is(mask, DType::u8, mask_shape(x.shape)));
}
struct MaskBit {
  int64_t byte;
  int bit;
};
MaskBit mask_bit(const TensorView& x, int64_t row, int64_t channel) {
  const int64_t width = mask_width(x.shape.channels());
  return {row * (x.shape.channels() / width) + channel / width, static_cast<int>(channel % width)};
}

// y[i,c] = act(z), z = x̂ · weight[c] + bias[c] + residual[i,c]; `Args` is that of training or of inference.
template <typename T, typename Args>
void normalise(const Args& a, int64_t c, Normaliser normalised) {
  const auto x = rows_of<const T>(a.x), residual = rows_of<const T>(a.residual);
  const auto y = rows_of<T>(a.y);
  for (int64_t i = 0; i < x.extent(0); ++i) {
    double value = normalised(x(i, c)) * a.weight.template as<T>()[c] + a.bias.template as<T>()[c];
    if (a.residual.present()) value += residual(i, c);
    y(i, c) = static_cast<T>(activated(a.activation, value));
    if (a.mask.present() && activation_gradient(a.activation, value, 1) != 0) {
      const MaskBit at = mask_bit(a.x, i, c);
      auto& byte = a.mask.template as<uint8_t>()[at.byte];
      byte = static_cast<uint8_t>(byte | 1 << at.bit);
    }
  }
}

void clear(const TensorView& mask) { std::fill_n(mask.as<uint8_t>(), mask.numel(), uint8_t{0}); }

}  // namespace

// mean[c] = Σ_i x[i,c] / m    var[c] = Σ_i (x[i,c] − mean[c])² / m    x̂ = (x − mean) / √(var + eps)
Status batch_norm_training(const BatchNormTrainingArgs& a) {
  if (!is_float(a.x) || a.x.shape.rank < 1 || !is(a.y, a.x.dtype, a.x.shape) ||
      !are_per_channel(a.x, a.weight, a.bias, a.mean, a.var) || !absent_or(a.residual, a.x.dtype, a.x.shape) ||
      !(a.eps >= 0) || !is_activation(a.activation) || !mask_fits(a.mask, a.x, a.activation))
    return Status::invalid_argument;

  clear(a.mask);
  return for_float_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    const auto x = rows_of<const T>(a.x);
    const auto m = static_cast<double>(x.extent(0));  // no rows: 0 / 0, the statistics are NaN
    for (int64_t c = 0; c < x.extent(1); ++c) {
      double sum = 0, squares = 0;
      for (int64_t i = 0; i < x.extent(0); ++i) sum += x(i, c);
      const double mean = sum / m;
      for (int64_t i = 0; i < x.extent(0); ++i) squares += (x(i, c) - mean) * (x(i, c) - mean);
      const double var = squares / m;
      normalise<T>(a, c, {mean, 1 / std::sqrt(var + a.eps)});
      a.mean.as<T>()[c] = static_cast<T>(mean);
      a.var.as<T>()[c] = static_cast<T>(var);
    }
  });
}

// The same with given statistics.
Status batch_norm_inference(const BatchNormInferenceArgs& a) {
  if (!is_float(a.x) || a.x.shape.rank < 1 || !is(a.y, a.x.dtype, a.x.shape) ||
      !are_per_channel(a.x, a.weight, a.bias, a.mean, a.var) || !absent_or(a.residual, a.x.dtype, a.x.shape) ||
      !(a.eps >= 0) || !is_activation(a.activation) || !mask_fits(a.mask, a.x, a.activation))
    return Status::invalid_argument;

  clear(a.mask);
  return for_float_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    for (int64_t c = 0; c < a.x.shape.channels(); ++c)
      normalise<T>(a, c, {a.mean.as<T>()[c], 1 / std::sqrt(a.var.as<T>()[c] + a.eps)});
  });
}

// With g = dy · act′(z), z made again from x, or what relu let pass taken from the mask:
//   dbias = Σ_i g    dweight = Σ_i g·x̂    dresidual = g
//   dx = weight · inv_std · (g − dbias / m − x̂ · dweight / m)    the statistics depend on x
//   dx = weight · inv_std · g                                    given statistics
Status batch_norm_backward(const BatchNormBackwardArgs& a) {
  const DType type_of_x = a.x.dtype;
  const Shape channels{a.x.shape.channels()};
  const bool knows_z = a.activation == Activation::none || a.mask.present() || a.bias.present();
  if (!is_float(a.x) || a.x.shape.rank < 1 || !is(a.dy, type_of_x, a.x.shape) ||
      !are_per_channel(a.x, a.weight, a.weight, a.mean, a.var) || !absent_or(a.bias, type_of_x, channels) ||
      !absent_or(a.dx, type_of_x, a.x.shape) || !absent_or(a.dresidual, type_of_x, a.x.shape) ||
      !absent_or(a.dweight, type_of_x, channels) || !absent_or(a.dbias, type_of_x, channels) || !(a.eps >= 0) ||
      !is_activation(a.activation) || !mask_fits(a.mask, a.x, a.activation) || !knows_z)
    return Status::invalid_argument;

  return for_float_type(type_of_x, [&](auto type) {
    using T = decltype(type);
    const auto x = rows_of<const T>(a.x), dy = rows_of<const T>(a.dy);
    const auto* mask = a.mask.as<const uint8_t>();
    const auto dx = rows_of<T>(a.dx), dresidual = rows_of<T>(a.dresidual);
    const int64_t m = x.extent(0);
    for (int64_t c = 0; c < x.extent(1); ++c) {
      const Normaliser normalised{a.mean.as<T>()[c], 1 / std::sqrt(a.var.as<T>()[c] + a.eps)};
      const auto g = [&](int64_t i) -> double {
        if (a.activation == Activation::none) return dy(i, c);
        if (a.mask.present()) {
          const MaskBit at = mask_bit(a.x, i, c);
          return mask[at.byte] >> at.bit & 1 ? dy(i, c) : T{0};
        }
        const double z = normalised(x(i, c)) * a.weight.as<T>()[c] + a.bias.as<T>()[c];
        return activation_gradient(a.activation, a.activation == Activation::sigmoid ? sigmoid(z) : z, dy(i, c));
      };
      double dbias = 0, dweight = 0;
      for (int64_t i = 0; i < m; ++i) {
        dbias += g(i);
        dweight += g(i) * normalised(x(i, c));
      }
      const double slope = a.weight.as<T>()[c] * normalised.inv_std;
      const double shift = a.batch_statistics ? dbias / static_cast<double>(m) : 0;
      const double tilt = a.batch_statistics ? dweight / static_cast<double>(m) : 0;
      for (int64_t i = 0; i < m; ++i) {
        const double along = a.batch_statistics ? normalised(x(i, c)) * tilt : 0;
        if (a.dx.present()) dx(i, c) = static_cast<T>(slope * (g(i) - shift - along));
        if (a.dresidual.present()) dresidual(i, c) = static_cast<T>(g(i));
      }
      if (a.dweight.present()) a.dweight.as<T>()[c] = static_cast<T>(dweight);
      if (a.dbias.present()) a.dbias.as<T>()[c] = static_cast<T>(dbias);
    }
  });
}

// running ← (1 − momentum) · running + momentum · batch, the variance unbiased: · m / (m − 1)
Status update_running_stats(const UpdateRunningStatsArgs& a) {
  const Shape& channels = a.mean.shape;
  if (!one_float_type(a.mean, a.var, a.running_mean, a.running_var) || channels.rank != 1 || a.var.shape != channels ||
      a.running_mean.shape != channels || a.running_var.shape != channels || !absent_or(a.flag, DType::i64, {1}) ||
      !(a.momentum >= 0 && a.momentum <= 1) || a.rows < 2)
    return Status::invalid_argument;
  if (a.flag.present() && *a.flag.as<int64_t>() != 0) return Status::ok;

  return for_float_type(a.mean.dtype, [&](auto type) {
    using T = decltype(type);
    const double bessel = static_cast<double>(a.rows) / static_cast<double>(a.rows - 1);
    const auto blend = [&](T& running, double batch) {
      running = static_cast<T>((1 - a.momentum) * running + a.momentum * batch);
    };
    for (int64_t c = 0; c < channels[0]; ++c) {
      blend(a.running_mean.as<T>()[c], a.mean.as<T>()[c]);
      blend(a.running_var.as<T>()[c], bessel * a.var.as<T>()[c]);
    }
  });
}

}  // namespace graft::reference
