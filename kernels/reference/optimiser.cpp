// What moves the weights at the end of a step. Nothing moves while `flag` is up: the step was not finite.
#include <cmath>

#include "kernels/reference/checks.h"
#include "kernels/reference/primitives.h"

namespace graft::reference {

namespace {

bool is_up(const TensorView& flag) { return flag.present() && *flag.as<int64_t>() != 0; }

// What sgd and adamw share: gradient and parameter alike, learning_rate f64 [1], step i64 [1], flag? i64 [1],
// gradient_factor? [1], copy? of 16 bits an element.
template <typename Args>
bool fits(const Args& a) {
  const bool copy_fits = !a.copy.present() || ((a.copy.dtype == DType::bf16 || a.copy.dtype == DType::f16) &&
                                               a.copy.shape == a.parameter.shape);
  return one_float_type(a.gradient, a.parameter) && a.gradient.shape == a.parameter.shape &&
         is(a.learning_rate, DType::f64, {1}) && is(a.step, DType::i64, {1}) && absent_or(a.flag, DType::i64, {1}) &&
         absent_or(a.gradient_factor, a.gradient.dtype, {1}) && copy_fits;
}

double first_or(const TensorView& v, double absent) {
  if (!v.present()) return absent;
  return v.dtype == DType::f64 ? *v.as<double>() : static_cast<double>(*v.as<float>());
}

// The copy is the parameter as it comes out, whether it moved or not.
template <typename Args>
Status write_copy(const Args& a) {
  return a.copy.present() ? cast({.x = a.parameter, .y = a.copy}) : Status::ok;
}

}  // namespace

// flag = 1 if any element of x is infinite or NaN
Status check_finite(const CheckFiniteArgs& a) {
  if (!is_float(a.x) || !is(a.flag, DType::i64, {1})) return Status::invalid_argument;
  return for_float_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    for (int64_t i = 0; i < a.x.numel(); ++i)
      if (!std::isfinite(a.x.as<T>()[i])) *a.flag.as<int64_t>() = 1;
  });
}

// g = gradient·factor + weight_decay·parameter    v = first step ? g : momentum·v + g
// parameter −= lr·(nesterov ? g + momentum·v : v)
Status sgd(const SgdArgs& a) {
  const bool has_velocity = a.momentum != 0;
  if (!fits(a) || !std::isfinite(a.momentum) || !std::isfinite(a.weight_decay) ||
      (has_velocity && !is(a.velocity, a.parameter.dtype, a.parameter.shape)))
    return Status::invalid_argument;
  if (is_up(a.flag)) return write_copy(a);

  const double lr = *a.learning_rate.as<double>(), factor = first_or(a.gradient_factor, 1);
  const bool first = *a.step.as<int64_t>() == 0;
  for_float_type(a.parameter.dtype, [&](auto type) {
    using T = decltype(type);
    for (int64_t i = 0; i < a.parameter.numel(); ++i) {
      T& parameter = a.parameter.as<T>()[i];
      const double g = a.gradient.as<T>()[i] * factor + a.weight_decay * parameter;
      double v = g;
      if (has_velocity) {
        T& velocity = a.velocity.as<T>()[i];
        if (!first) v += a.momentum * velocity;
        velocity = static_cast<T>(v);
      }
      parameter = static_cast<T>(parameter - lr * (a.nesterov ? g + a.momentum * v : v));
    }
  });
  return write_copy(a);
}

// parameter −= lr·weight_decay·parameter    m = β1·m + (1 − β1)·g    v = β2·v + (1 − β2)·g²
// parameter −= lr / (1 − β1^t) · m / (√(v / (1 − β2^t)) + eps)
Status adamw(const AdamWArgs& a) {
  const auto is_decay = [](double beta) { return beta >= 0 && beta < 1; };
  if (!fits(a) || !is(a.m, a.parameter.dtype, a.parameter.shape) || !is(a.v, a.parameter.dtype, a.parameter.shape) ||
      !is_decay(a.beta1) || !is_decay(a.beta2) || !(a.eps >= 0) || !std::isfinite(a.weight_decay))
    return Status::invalid_argument;
  if (is_up(a.flag)) return write_copy(a);

  const double factor = first_or(a.gradient_factor, 1);
  const double lr = *a.learning_rate.as<double>(), t = static_cast<double>(*a.step.as<int64_t>()) + 1;
  const double correction1 = 1 - std::pow(a.beta1, t), correction2 = 1 - std::pow(a.beta2, t);
  for_float_type(a.parameter.dtype, [&](auto type) {
    using T = decltype(type);
    for (int64_t i = 0; i < a.parameter.numel(); ++i) {
      const double g = a.gradient.as<T>()[i] * factor;
      const double m = a.beta1 * a.m.as<T>()[i] + (1 - a.beta1) * g;
      const double v = a.beta2 * a.v.as<T>()[i] + (1 - a.beta2) * g * g;
      const double decayed = (1 - lr * a.weight_decay) * a.parameter.as<T>()[i];
      a.parameter.as<T>()[i] = static_cast<T>(decayed - lr / correction1 * m / (std::sqrt(v / correction2) + a.eps));
      a.m.as<T>()[i] = static_cast<T>(m);
      a.v.as<T>()[i] = static_cast<T>(v);
    }
  });
  return write_copy(a);
}

// average = decay·average + (1 − decay)·parameter
Status ema(const EmaArgs& a) {
  if (!one_float_type(a.parameter, a.average) || a.average.shape != a.parameter.shape ||
      !absent_or(a.flag, DType::i64, {1}) || !(a.decay >= 0 && a.decay < 1))
    return Status::invalid_argument;
  if (is_up(a.flag)) return Status::ok;
  return for_float_type(a.parameter.dtype, [&](auto type) {
    using T = decltype(type);
    for (int64_t i = 0; i < a.parameter.numel(); ++i) {
      T& average = a.average.as<T>()[i];
      average = static_cast<T>(a.decay * average + (1 - a.decay) * a.parameter.as<T>()[i]);
    }
  });
}

// norm = √Σ gradient²    factor = norm > max_norm ? max_norm / norm : 1
Status clip_factor(const ClipFactorArgs& a) {
  const DType t = a.gradient.dtype;
  if (!is_float(a.gradient) || !absent_or(a.flag, DType::i64, {1}) || !is(a.norm, t, {1}) || !is(a.factor, t, {1}) ||
      !(a.max_norm > 0))
    return Status::invalid_argument;
  return for_float_type(t, [&](auto type) {
    using T = decltype(type);
    double squares = 0;
    for (int64_t i = 0; i < a.gradient.numel(); ++i) {
      const double g = a.gradient.as<T>()[i];
      squares += g * g;
    }
    const double norm = std::sqrt(squares);
    *a.norm.as<T>() = static_cast<T>(norm);
    *a.factor.as<T>() = static_cast<T>(std::isfinite(norm) && norm > a.max_norm ? a.max_norm / norm : 1);
    if (!std::isfinite(norm) && a.flag.present()) *a.flag.as<int64_t>() = 1;
  });
}

// step += 1    offset += advance, modulo 2^64
Status finish_step(const FinishStepArgs& a) {
  if (!absent_or(a.flag, DType::i64, {1}) || !is(a.step, DType::i64, {1}) ||
      !absent_or(a.random_state, DType::i64, {2}))
    return Status::invalid_argument;
  if (is_up(a.flag)) return Status::ok;
  *a.step.as<int64_t>() += 1;
  if (a.random_state.present()) {
    int64_t& offset = a.random_state.as<int64_t>()[1];
    offset = static_cast<int64_t>(static_cast<uint64_t>(offset) + static_cast<uint64_t>(a.advance));
  }
  return Status::ok;
}

}  // namespace graft::reference
