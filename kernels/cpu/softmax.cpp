// Softmax over rows of classes, its gradient, and the cross-entropy of it with class indices.
//
// The largest value is taken out first; sums run in vectors and are joined in double. A row is a task: rows are read
// from memory once and stay in L1 for the further passes. Bound by e^x, or by starting threads at all for a small
// batch.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/softmax.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/activation-inl.h"
#include "kernels/cpu/workspace.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

// Rows of a task: about 4,096 elements.
template <typename Body>
void for_rows(ThreadPool& pool, int64_t rows, int64_t classes, Body&& body) {
  const int64_t step = std::max<int64_t>(1, 4096 / std::max<int64_t>(1, classes));
  pool.parallel_for(ceil_div(rows, step), [&](int64_t task, int) HWY_ATTR {
    for (int64_t i = task * step; i < std::min(rows, (task + 1) * step); ++i) body(i);
  });
}

float largest_of(const float* z, int64_t n) {
  float largest = -std::numeric_limits<float>::infinity();
  for (int64_t k = 0; k < n; ++k)
    if (z[k] > largest) largest = z[k];
  return largest;
}

// Σ value(i, n) over vectors, in double after the vectors are done; lanes beyond n must be zero.
template <typename Value>
HWY_INLINE double sum_vectors(int64_t count, Value&& value) {
  V sum = zero();
  for_vectors(0, count, [&](int64_t i, int64_t n) HWY_ATTR { sum = add(sum, value(i, n)); });
  float lanes[kLanes];
  store(sum, lanes);
  double total = 0;
  for (float lane : lanes) total += static_cast<double>(lane);
  return total;
}
HWY_INLINE V first_lanes(V v, int64_t n) { return hn::IfThenElseZero(hn::FirstN(F32(), static_cast<size_t>(n)), v); }

struct RowSum {
  float largest;
  double sum;  // Σ e^(z − largest)
  double log_sum() const { return static_cast<double>(largest) + std::log(sum); }
};
RowSum exp_sum(const float* z, int64_t classes) {
  const float largest = largest_of(z, classes);
  return {largest, sum_vectors(classes, [&](int64_t i, int64_t n) HWY_ATTR {
            return first_lanes(exp_of(sub(load_up_to(z + i, n), set(largest))), n);
          })};
}

Status softmax(CallContext& c, const SoftmaxArgs& a) {
  c.kernel = "cpu.softmax." GRAFT_ISA;
  const int64_t rows = a.x.shape.rows(), classes = a.x.shape.channels();
  for_rows(pool_of(c), rows, classes, [&](int64_t row) HWY_ATTR {
    const float* x = a.x.as<const float>() + row * classes;
    float* y = a.y.as<float>() + row * classes;
    const RowSum s = exp_sum(x, classes);
    const V inverse = set(static_cast<float>(1.0 / s.sum));
    for_vectors(0, classes, [&](int64_t i, int64_t n) HWY_ATTR {
      store_up_to(mul(exp_of(sub(load_up_to(x + i, n), set(s.largest))), inverse), y + i, n);
    });
  });
  return Status::ok;
}

Status softmax_backward(CallContext& c, const SoftmaxBackwardArgs& a) {
  c.kernel = "cpu.softmax_backward." GRAFT_ISA;
  const int64_t rows = a.y.shape.rows(), classes = a.y.shape.channels();
  for_rows(pool_of(c), rows, classes, [&](int64_t row) HWY_ATTR {
    const float *y = a.y.as<const float>() + row * classes, *dy = a.dy.as<const float>() + row * classes;
    float* dx = a.dx.as<float>() + row * classes;
    const V sum = set(static_cast<float>(sum_vectors(
        classes, [&](int64_t i, int64_t n) HWY_ATTR { return mul(load_up_to(y + i, n), load_up_to(dy + i, n)); })));
    for_vectors(0, classes, [&](int64_t i, int64_t n) HWY_ATTR {
      store_up_to(mul(load_up_to(y + i, n), sub(load_up_to(dy + i, n), sum)), dx + i, n);
    });
  });
  return Status::ok;
}

struct Targets {
  const int64_t* targets;
  const float* class_weights;
  int64_t rows, classes;

  double weight(int64_t k) const { return class_weights != nullptr ? static_cast<double>(class_weights[k]) : 1.0; }
  // W = Σ_i w[t_i]; NaN if a target is no class
  double total() const {
    double sum = 0;
    for (int64_t i = 0; i < rows; ++i)
      sum += targets[i] < 0 || targets[i] >= classes ? std::numeric_limits<double>::quiet_NaN() : weight(targets[i]);
    return sum;
  }
};

Status softmax_cross_entropy(CallContext& c, const SoftmaxCrossEntropyArgs& a) {
  c.kernel = "cpu.softmax_cross_entropy." GRAFT_ISA;
  const int64_t rows = a.logits.shape[0], classes = a.logits.shape[1];
  const Targets target{a.targets.as<const int64_t>(), a.class_weights.as<const float>(), rows, classes};
  const double total = target.total(), eps = a.label_smoothing;
  double sum = 0;
  if (!std::isnan(total)) {
    double* losses = Workspace(c.workspace).take<double>(rows);
    for_rows(pool_of(c), rows, classes, [&](int64_t row) HWY_ATTR {
      const float* z = a.logits.as<const float>() + row * classes;
      const double lse = exp_sum(z, classes).log_sum();
      const int64_t t = target.targets[row];
      double loss = (1 - eps) * target.weight(t) * (lse - static_cast<double>(z[t]));
      for (int64_t k = 0; k < classes && eps > 0; ++k)  // left out for ε = 0: a logit of −∞ must not make 0 · ∞
        loss += eps / static_cast<double>(classes) * target.weight(k) * (lse - static_cast<double>(z[k]));
      losses[row] = loss;
    });
    for (int64_t i = 0; i < rows; ++i) sum += losses[i];
  }
  *a.loss.as<float>() = static_cast<float>(sum / total);
  return Status::ok;
}
int64_t softmax_cross_entropy_workspace(int, const SoftmaxCrossEntropyArgs& a) {
  return align_up(a.logits.shape[0] * static_cast<int64_t>(sizeof(double)));
}

Status softmax_cross_entropy_backward(CallContext& c, const SoftmaxCrossEntropyBackwardArgs& a) {
  c.kernel = "cpu.softmax_cross_entropy_backward." GRAFT_ISA;
  const int64_t rows = a.logits.shape[0], classes = a.logits.shape[1];
  if (rows == 0 || classes == 0) return Status::ok;
  const Targets target{a.targets.as<const int64_t>(), a.class_weights.as<const float>(), rows, classes};
  const double outer = static_cast<double>(*a.dloss.as<const float>()) / target.total();
  const double eps = a.label_smoothing, share = eps / static_cast<double>(classes);
  double all_weights = 0;
  for (int64_t k = 0; k < classes; ++k) all_weights += target.weight(k);
  for_rows(pool_of(c), rows, classes, [&](int64_t row) HWY_ATTR {
    const float* z = a.logits.as<const float>() + row * classes;
    float* dz = a.dlogits.as<float>() + row * classes;
    const bool valid = !std::isnan(outer);
    const int64_t t = target.targets[row];
    const double on_target = valid ? (1 - eps) * target.weight(t) : outer;
    const RowSum s = exp_sum(z, classes);
    const V factor = set(static_cast<float>(outer * (on_target + share * all_weights) / s.sum));
    const float smooth = static_cast<float>(outer * share);
    for_vectors(0, classes, [&](int64_t i, int64_t n) HWY_ATTR {
      V d = mul(exp_of(sub(load_up_to(z + i, n), set(s.largest))), factor);
      const V w = target.class_weights != nullptr ? load_up_to(target.class_weights + i, n) : set(1.f);
      d = fnma(set(smooth), w, d);
      store_up_to(d, dz + i, n);
    });
    if (valid) dz[t] = static_cast<float>(static_cast<double>(dz[t]) - outer * on_target);
  });
  return Status::ok;
}

}  // namespace

static void enter_kernels(KernelTable& table) {
  enter<SoftmaxArgs, softmax>(table);
  enter<SoftmaxBackwardArgs, softmax_backward>(table);
  enter<SoftmaxCrossEntropyArgs, softmax_cross_entropy>(table);
  enter_workspace<SoftmaxCrossEntropyArgs, softmax_cross_entropy_workspace>(table);
  enter<SoftmaxCrossEntropyBackwardArgs, softmax_cross_entropy_backward>(table);
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(softmax)
#endif
