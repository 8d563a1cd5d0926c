// Optimiser steps: one pass over parameter, gradient and state. SGD with momentum reads 3 and writes 2 floats an
// element, AdamW 4 and 3. Bound by memory.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/optimiser.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/simd-inl.h"

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

Status sgd(CallContext& c, const SgdArgs& a) {
  c.kernel = "cpu.sgd." GRAFT_ISA;
  if (is_up(a.flag)) return Status::ok;
  const bool first = *a.step.as<const int64_t>() == 0, nesterov = a.nesterov != 0;
  const auto* gradient = a.gradient.as<const float>();
  auto* parameter = a.parameter.as<float>();
  auto* velocity = a.momentum != 0 ? a.velocity.as<float>() : nullptr;
  const float rate = static_cast<float>(*a.learning_rate.as<const double>());
  const float decay = static_cast<float>(a.weight_decay), momentum = static_cast<float>(a.momentum);
  for_elements(pool_of(c), a.parameter.numel(), [=](int64_t i, int64_t n) HWY_ATTR {
    const V p = load_up_to(parameter + i, n);
    const V g = fma(set(decay), p, load_up_to(gradient + i, n));
    V step = g;
    if (velocity != nullptr) {
      const V v = first ? g : fma(set(momentum), load_up_to(velocity + i, n), g);
      store_up_to(v, velocity + i, n);
      step = nesterov ? fma(set(momentum), v, g) : v;
    }
    store_up_to(fnma(set(rate), step, p), parameter + i, n);
  });
  return Status::ok;
}

Status adamw(CallContext& c, const AdamWArgs& a) {
  c.kernel = "cpu.adamw." GRAFT_ISA;
  if (is_up(a.flag)) return Status::ok;
  const double rate = *a.learning_rate.as<const double>(), t = static_cast<double>(*a.step.as<const int64_t>()) + 1;
  const double correction1 = 1 - std::pow(a.beta1, t), correction2 = 1 - std::pow(a.beta2, t);
  const auto* gradient = a.gradient.as<const float>();
  auto *parameter = a.parameter.as<float>(), *m = a.m.as<float>(), *v = a.v.as<float>();
  const float beta1 = static_cast<float>(a.beta1), one1 = static_cast<float>(1 - a.beta1);
  const float beta2 = static_cast<float>(a.beta2), one2 = static_cast<float>(1 - a.beta2);
  const float keep = static_cast<float>(1 - rate * a.weight_decay), step = static_cast<float>(rate / correction1);
  const float inverse2 = static_cast<float>(1 / correction2), eps = static_cast<float>(a.eps);
  for_elements(pool_of(c), a.parameter.numel(), [=](int64_t i, int64_t n) HWY_ATTR {
    const V g = load_up_to(gradient + i, n);
    const V first = fma(set(beta1), load_up_to(m + i, n), mul(set(one1), g));
    const V second = fma(set(beta2), load_up_to(v + i, n), mul(set(one2), mul(g, g)));
    const V move = hn::Div(mul(set(step), first), add(hn::Sqrt(mul(second, set(inverse2))), set(eps)));
    store_up_to(sub(mul(set(keep), load_up_to(parameter + i, n)), move), parameter + i, n);
    store_up_to(first, m + i, n);
    store_up_to(second, v + i, n);
  });
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
  enter<FinishStepArgs, finish_step>(table);
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(optimiser)
#endif
