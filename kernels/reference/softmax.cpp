// Softmax over the last axis, and the cross-entropy of it with class indices.
#include <cmath>
#include <limits>

#include "kernels/reference/checks.h"
#include "kernels/reference/primitives.h"
#include "kernels/reference/views.h"

namespace graft::reference {

namespace {

// log Σ_k e^z[k], the largest taken out first so that no power overflows
template <typename T>
double log_sum_exp(const T* z, int64_t classes) {
  double largest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (int64_t k = 0; k < classes; ++k)
    if (z[k] > largest) largest = z[k];
  for (int64_t k = 0; k < classes; ++k) sum += std::exp(z[k] - largest);
  return largest + std::log(sum);
}

}  // namespace

// y[i,k] = e^x[i,k] / Σ_j e^x[i,j]; divided, not with log Σ taken off: beside a largest value of 1e30 that would vanish
Status softmax(const SoftmaxArgs& a) {
  if (!one_float_type(a.x, a.y) || a.x.shape.rank < 1 || a.y.shape != a.x.shape) return Status::invalid_argument;
  return for_float_type(a.y.dtype, [&](auto type) {
    using T = decltype(type);
    const auto x = rows_of<const T>(a.x);
    const auto y = rows_of<T>(a.y);
    for (int64_t i = 0; x.extent(1) > 0 && i < x.extent(0); ++i) {
      double largest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (int64_t k = 0; k < x.extent(1); ++k)
        if (x(i, k) > largest) largest = x(i, k);
      for (int64_t k = 0; k < x.extent(1); ++k) sum += std::exp(x(i, k) - largest);
      for (int64_t k = 0; k < x.extent(1); ++k) y(i, k) = static_cast<T>(std::exp(x(i, k) - largest) / sum);
    }
  });
}

// dx[i,k] = y[i,k] · (dy[i,k] − Σ_j y[i,j]·dy[i,j])
Status softmax_backward(const SoftmaxBackwardArgs& a) {
  if (!one_float_type(a.y, a.dy, a.dx) || a.y.shape.rank < 1 || a.dy.shape != a.y.shape || a.dx.shape != a.y.shape)
    return Status::invalid_argument;
  return for_float_type(a.dx.dtype, [&](auto type) {
    using T = decltype(type);
    const auto y = rows_of<const T>(a.y), dy = rows_of<const T>(a.dy);
    const auto dx = rows_of<T>(a.dx);
    for (int64_t i = 0; i < y.extent(0); ++i) {
      double sum = 0;
      for (int64_t j = 0; j < y.extent(1); ++j) sum += double{y(i, j)} * dy(i, j);
      for (int64_t k = 0; k < y.extent(1); ++k) dx(i, k) = static_cast<T>(y(i, k) * (dy(i, k) - sum));
    }
  });
}

namespace {

// logits [rows,K]; targets i64 [rows]; class_weights? [K]; the scalar is loss or dloss
bool fits(const TensorView& logits, const TensorView& targets, const TensorView& class_weights,
          const TensorView& scalar, double smoothing) {
  return is_float(logits) && logits.shape.rank == 2 && is(targets, DType::i64, {logits.shape[0]}) &&
         absent_or(class_weights, logits.dtype, {logits.shape[1]}) && is(scalar, logits.dtype, {1}) && smoothing >= 0 &&
         smoothing <= 1;
}

template <typename T>
struct Targets {
  const int64_t* targets;
  const T* class_weights;
  int64_t rows, classes;

  double weight(int64_t k) const { return class_weights ? class_weights[k] : 1; }
  // W = Σ_i w[t_i]; NaN, and with it everything, if a target is no class
  double total() const {
    double sum = 0;
    for (int64_t i = 0; i < rows; ++i)
      sum += targets[i] < 0 || targets[i] >= classes ? std::numeric_limits<double>::quiet_NaN() : weight(targets[i]);
    return sum;
  }
};

}  // namespace

// loss = 1/W Σ_i ((1 − ε)·w[t]·(lse − logits[i,t]) + ε/K Σ_k w[k]·(lse − logits[i,k])), ε = label_smoothing
Status softmax_cross_entropy(const SoftmaxCrossEntropyArgs& a) {
  if (!fits(a.logits, a.targets, a.class_weights, a.loss, a.label_smoothing)) return Status::invalid_argument;
  return for_float_type(a.loss.dtype, [&](auto type) {
    using T = decltype(type);
    const View2<const T> logits(a.logits);
    const int64_t rows = logits.extent(0), classes = logits.extent(1);
    const Targets<T> target{a.targets.as<int64_t>(), optional<const T>(a.class_weights), rows, classes};
    const double total = target.total(), eps = a.label_smoothing;
    double sum = 0;
    for (int64_t i = 0; i < rows && !std::isnan(total); ++i) {
      const double lse = log_sum_exp(&logits(i, 0), classes);
      const int64_t t = target.targets[i];
      sum += (1 - eps) * target.weight(t) * (lse - logits(i, t));
      for (int64_t k = 0; k < classes && eps > 0; ++k)  // left out for ε = 0: a logit of −∞ must not make 0 · ∞
        sum += eps / static_cast<double>(classes) * target.weight(k) * (lse - logits(i, k));
    }
    *a.loss.as<T>() = static_cast<T>(sum / total);
  });
}

// dlogits[i,k] = dloss/W · (((1 − ε)·w[t] + ε/K Σ_j w[j])·p[k] − (1 − ε)·w[t]·[k = t] − ε/K·w[k])
Status softmax_cross_entropy_backward(const SoftmaxCrossEntropyBackwardArgs& a) {
  if (!fits(a.logits, a.targets, a.class_weights, a.dloss, a.label_smoothing) ||
      !is(a.dlogits, a.logits.dtype, a.logits.shape))
    return Status::invalid_argument;
  return for_float_type(a.logits.dtype, [&](auto type) {
    using T = decltype(type);
    const View2<const T> logits(a.logits);
    const View2<T> dlogits(a.dlogits);
    const int64_t rows = logits.extent(0), classes = logits.extent(1);
    const Targets<T> target{a.targets.as<int64_t>(), optional<const T>(a.class_weights), rows, classes};
    const double outer = *a.dloss.as<T>() / target.total();
    const double eps = a.label_smoothing, share = eps / static_cast<double>(classes);
    double all_weights = 0;
    for (int64_t k = 0; k < classes; ++k) all_weights += target.weight(k);
    for (int64_t i = 0; classes > 0 && i < rows; ++i) {
      const double lse = log_sum_exp(&logits(i, 0), classes);
      const int64_t t = target.targets[i];
      const double on_target = std::isnan(outer) ? outer : (1 - eps) * target.weight(t);
      for (int64_t k = 0; k < classes; ++k) {
        const double p = std::exp(logits(i, k) - lse);
        const double slope =
            (on_target + share * all_weights) * p - (k == t ? on_target : 0) - share * target.weight(k);
        dlogits(i, k) = static_cast<T>(outer * slope);
      }
    }
  });
}

}  // namespace graft::reference
