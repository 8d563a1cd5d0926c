// Optimiser steps: one pass over parameter, gradient and state. SGD with momentum reads 3 and writes 2 floats an
// element, AdamW 4 and 3, an average 2 and 1, the norm 1. Bound by memory.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/optimiser.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/cpu/workspace.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

bool is_up(const TensorView& flag) { return flag.present() && *flag.as<const int64_t>() != 0; }

template <typename Body>
void for_elements(ThreadPool& pool, int64_t count, Body&& body) {
  constexpr int64_t kChunk = 16384;
  pool.parallel_for(ceil_div(count, kChunk), [&](int64_t chunk, int) HWY_ATTR {
    for_vectors(chunk * kChunk, std::min(count, (chunk + 1) * kChunk), body);
  });
}

// The parameter as it comes out, in 16 bits. Lane by lane: only a device that computes in 16 bits is in a hurry for it.
struct Copy {
  uint16_t* to;
  bool is_bf16;

  explicit Copy(const TensorView& view) : to(view.as<uint16_t>()), is_bf16(view.dtype == DType::bf16) {}
  HWY_INLINE void put(V parameter, int64_t i, int64_t n) const {
    if (to == nullptr) return;
    float lanes[kLanes];
    store(parameter, lanes);
    for (int64_t k = 0; k < n; ++k) to[i + k] = is_bf16 ? Float16<7>::from(lanes[k]) : Float16<10>::from(lanes[k]);
  }
};

// A step that is not finite: nothing moves, and the copy is of what there is.
template <typename Args>
Status copy_alone(ThreadPool& pool, const Args& a) {
  const Copy copy(a.copy);
  if (copy.to == nullptr) return Status::ok;
  const auto* parameter = a.parameter.template as<const float>();
  for_elements(pool, a.parameter.numel(),
               [=](int64_t i, int64_t n) HWY_ATTR { copy.put(load_up_to(parameter + i, n), i, n); });
  return Status::ok;
}

float factor_of(const TensorView& factor) { return factor.present() ? *factor.as<const float>() : 1; }

Status sgd(CallContext& c, const SgdArgs& a) {
  c.kernel = "cpu.sgd." GRAFT_ISA;
  if (is_up(a.flag)) return copy_alone(pool_of(c), a);
  const Copy copy(a.copy);
  const float factor = factor_of(a.gradient_factor);
  const bool first = *a.step.as<const int64_t>() == 0, nesterov = a.nesterov != 0;
  const auto* gradient = a.gradient.as<const float>();
  auto* parameter = a.parameter.as<float>();
  auto* velocity = a.momentum != 0 ? a.velocity.as<float>() : nullptr;
  const float rate = static_cast<float>(*a.learning_rate.as<const double>());
  const float decay = static_cast<float>(a.weight_decay), momentum = static_cast<float>(a.momentum);
  for_elements(pool_of(c), a.parameter.numel(), [=](int64_t i, int64_t n) HWY_ATTR {
    const V p = load_up_to(parameter + i, n);
    const V g = fma(set(decay), p, mul(set(factor), load_up_to(gradient + i, n)));
    V step = g;
    if (velocity != nullptr) {
      const V v = first ? g : fma(set(momentum), load_up_to(velocity + i, n), g);
      store_up_to(v, velocity + i, n);
      step = nesterov ? fma(set(momentum), v, g) : v;
    }
    const V moved = fnma(set(rate), step, p);
    store_up_to(moved, parameter + i, n);
    copy.put(moved, i, n);
  });
  return Status::ok;
}

Status adamw(CallContext& c, const AdamWArgs& a) {
  c.kernel = "cpu.adamw." GRAFT_ISA;
  if (is_up(a.flag)) return copy_alone(pool_of(c), a);
  const Copy copy(a.copy);
  const float factor = factor_of(a.gradient_factor);
  const double rate = *a.learning_rate.as<const double>(), t = static_cast<double>(*a.step.as<const int64_t>()) + 1;
  const double correction1 = 1 - std::pow(a.beta1, t), correction2 = 1 - std::pow(a.beta2, t);
  const auto* gradient = a.gradient.as<const float>();
  auto *parameter = a.parameter.as<float>(), *m = a.m.as<float>(), *v = a.v.as<float>();
  const float beta1 = static_cast<float>(a.beta1), one1 = static_cast<float>(1 - a.beta1);
  const float beta2 = static_cast<float>(a.beta2), one2 = static_cast<float>(1 - a.beta2);
  const float keep = static_cast<float>(1 - rate * a.weight_decay), step = static_cast<float>(rate / correction1);
  const float inverse2 = static_cast<float>(1 / correction2), eps = static_cast<float>(a.eps);
  for_elements(pool_of(c), a.parameter.numel(), [=](int64_t i, int64_t n) HWY_ATTR {
    const V g = mul(set(factor), load_up_to(gradient + i, n));
    const V first = fma(set(beta1), load_up_to(m + i, n), mul(set(one1), g));
    const V second = fma(set(beta2), load_up_to(v + i, n), mul(set(one2), mul(g, g)));
    const V move = hn::Div(mul(set(step), first), add(hn::Sqrt(mul(second, set(inverse2))), set(eps)));
    const V moved = sub(mul(set(keep), load_up_to(parameter + i, n)), move);
    store_up_to(moved, parameter + i, n);
    copy.put(moved, i, n);
    store_up_to(first, m + i, n);
    store_up_to(second, v + i, n);
  });
  return Status::ok;
}

// average − rest·average + rest·parameter: decay and 1 − decay, both rounded, would not add up to 1, and so pull every
// average toward or away from zero, by up to 1/3000 for a decay of 0.9999.
Status ema(CallContext& c, const EmaArgs& a) {
  c.kernel = "cpu.ema." GRAFT_ISA;
  if (is_up(a.flag)) return Status::ok;
  const auto* parameter = a.parameter.as<const float>();
  auto* average = a.average.as<float>();
  const float rest = static_cast<float>(1 - a.decay);
  for_elements(pool_of(c), a.parameter.numel(), [=](int64_t i, int64_t n) HWY_ATTR {
    const V old = load_up_to(average + i, n);
    store_up_to(fma(set(rest), load_up_to(parameter + i, n), fnma(set(rest), old, old)), average + i, n);
  });
  return Status::ok;
}

// Squares and their sum in double: the square of a float is exact there and never overflows, so the norm is finite
// exactly when every element is. A run of elements by a fixed pattern, runs in order: threads do not show.
constexpr int64_t kRun = 4096;

int64_t clip_factor_workspace(int, const ClipFactorArgs& a) {
  return align_up(ceil_div(a.gradient.numel(), kRun) * static_cast<int64_t>(sizeof(double)));
}

double sum_of_squares(const float* x, int64_t n) {
  const hn::ScalableTag<double> f64;
  const hn::Rebind<float, decltype(f64)> half;
  constexpr int64_t kHalf = kLanes / 2;
  auto s0 = hn::Zero(f64), s1 = s0, s2 = s0, s3 = s0;
  const auto add_square = [&](auto sum, int64_t i) HWY_ATTR {
    const auto v = hn::PromoteTo(f64, hn::LoadU(half, x + i));
    return hn::MulAdd(v, v, sum);
  };
  int64_t i = 0;
  for (; i + 4 * kHalf <= n; i += 4 * kHalf) {
    s0 = add_square(s0, i), s1 = add_square(s1, i + kHalf);
    s2 = add_square(s2, i + 2 * kHalf), s3 = add_square(s3, i + 3 * kHalf);
  }
  double sum = hn::GetLane(hn::SumOfLanes(f64, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
  for (; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
  return sum;
}

Status clip_factor(CallContext& c, const ClipFactorArgs& a) {
  c.kernel = "cpu.clip_factor." GRAFT_ISA;
  const auto* gradient = a.gradient.as<const float>();
  const int64_t n = a.gradient.numel(), runs = ceil_div(n, kRun);
  auto* partial = Workspace(c.workspace).take<double>(runs);
  pool_of(c).parallel_for(runs, [&](int64_t run, int) {
    partial[run] = sum_of_squares(gradient + run * kRun, std::min(kRun, n - run * kRun));
  });
  double squares = 0;
  for (int64_t run = 0; run < runs; ++run) squares += partial[run];
  const double norm = std::sqrt(squares);
  const bool finite = std::isfinite(norm);
  *a.norm.as<float>() = static_cast<float>(norm);
  *a.factor.as<float>() = finite && norm > a.max_norm ? static_cast<float>(a.max_norm / norm) : 1;
  if (!finite && a.flag.present()) *a.flag.as<int64_t>() = 1;
  return Status::ok;
}

Status finish_step(CallContext& c, const FinishStepArgs& a) {
  c.kernel = "cpu.finish_step";
  if (is_up(a.flag)) return Status::ok;
  *a.step.as<int64_t>() += 1;
  if (a.random_state.present()) {
    int64_t& offset = a.random_state.as<int64_t>()[1];
    offset = static_cast<int64_t>(static_cast<uint64_t>(offset) + static_cast<uint64_t>(a.advance));
  }
  return Status::ok;
}

}  // namespace

static void enter_kernels(KernelTable& table) {
  enter<SgdArgs, sgd>(table);
  enter<AdamWArgs, adamw>(table);
  enter<EmaArgs, ema>(table);
  enter<ClipFactorArgs, clip_factor>(table);
  enter_workspace<ClipFactorArgs, clip_factor_workspace>(table);
  enter<FinishStepArgs, finish_step>(table);
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(optimiser)
#endif
