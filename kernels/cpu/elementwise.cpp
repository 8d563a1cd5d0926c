// Elementwise: activations and their gradients, add, scale, fill, broadcast, check_finite.
//
// One pass, every tensor once; in place where the contract allows. Bound by memory; silu and sigmoid, some 20
// operations an element, about even. Chunks of 16,384 elements are dealt to threads; smaller tensors stay on one.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

constexpr int64_t kChunk = 16384;

// body(i, n) for every vector of `count` elements.
template <typename Body>
void for_elements(ThreadPool& pool, int64_t count, Body&& body) {
  pool.parallel_for(ceil_div(count, kChunk), [&](int64_t chunk, int) HWY_ATTR {
    for_vectors(chunk * kChunk, std::min(count, (chunk + 1) * kChunk), body);
  });
}

Status activate(CallContext& c, const ActivateArgs& a) {
  c.kernel = "cpu.activate." GRAFT_ISA;
  const auto* x = a.x.as<const float>();
  auto* y = a.y.as<float>();
  with_activation(a.activation, [&](auto activation) HWY_ATTR {
    for_elements(pool_of(c), a.x.numel(), [=](int64_t i, int64_t n) HWY_ATTR {
      store_up_to(activated<decltype(activation)::value>(load_up_to(x + i, n)), y + i, n);
    });
  });
  return Status::ok;
}

Status activate_backward(CallContext& c, const ActivateBackwardArgs& a) {
  c.kernel = "cpu.activate_backward." GRAFT_ISA;
  const auto *saved = a.saved.as<const float>(), *dy = a.dy.as<const float>();
  auto* dx = a.dx.as<float>();
  with_activation(a.activation, [&](auto activation) HWY_ATTR {
    for_elements(pool_of(c), a.dy.numel(), [=](int64_t i, int64_t n) HWY_ATTR {
      store_up_to(activation_gradient<decltype(activation)::value>(load_up_to(saved + i, n), load_up_to(dy + i, n)),
                  dx + i, n);
    });
  });
  return Status::ok;
}

Status add_tensors(CallContext& c, const AddArgs& args) {
  c.kernel = "cpu.add." GRAFT_ISA;
  const auto *a = args.a.as<const float>(), *b = args.b.as<const float>();
  auto* y = args.y.as<float>();
  with_activation(args.activation, [&](auto activation) HWY_ATTR {
    for_elements(pool_of(c), args.a.numel(), [=](int64_t i, int64_t n) HWY_ATTR {
      store_up_to(activated<decltype(activation)::value>(add(load_up_to(a + i, n), load_up_to(b + i, n))), y + i, n);
    });
  });
  return Status::ok;
}

Status scale(CallContext& c, const ScaleArgs& a) {
  c.kernel = "cpu.scale." GRAFT_ISA;
  const auto* x = a.x.as<const float>();
  auto* y = a.y.as<float>();
  const float factor = static_cast<float>(a.factor);
  for_elements(pool_of(c), a.x.numel(),
               [=](int64_t i, int64_t n) HWY_ATTR { store_up_to(mul(load_up_to(x + i, n), set(factor)), y + i, n); });
  return Status::ok;
}

Status broadcast(CallContext& c, const BroadcastArgs& a) {
  c.kernel = "cpu.broadcast." GRAFT_ISA;
  const auto* x = a.x.as<const float>();
  auto* y = a.y.as<float>();
  const float factor = static_cast<float>(a.factor);
  if (a.y.numel() == 0) return Status::ok;
  if (a.inner == 1) {  // one value over a run
    const int64_t chunks = ceil_div(a.count, kChunk);
    pool_of(c).parallel_for(a.outer * chunks, [&](int64_t task, int) HWY_ATTR {
      const int64_t o = task / chunks, chunk = task % chunks;
      const V value = set(x[o] * factor);
      for_vectors(chunk * kChunk, std::min(a.count, (chunk + 1) * kChunk),
                  [&](int64_t i, int64_t n) HWY_ATTR { store_up_to(value, y + o * a.count + i, n); });
    });
    return Status::ok;
  }
  const int64_t rows = std::max<int64_t>(1, kChunk / a.inner), chunks = ceil_div(a.count, rows);
  pool_of(c).parallel_for(a.outer * chunks, [&](int64_t task, int) HWY_ATTR {
    const int64_t o = task / chunks, chunk = task % chunks;
    for (int64_t r = chunk * rows; r < std::min(a.count, (chunk + 1) * rows); ++r)
      for_vectors(0, a.inner, [&](int64_t i, int64_t n) HWY_ATTR {
        store_up_to(mul(load_up_to(x + o * a.inner + i, n), set(factor)), y + (o * a.count + r) * a.inner + i, n);
      });
  });
  return Status::ok;
}

// x − x is 0 for every finite x and NaN otherwise. Threads report through a flag of their own; nothing is ever cleared.
Status check_finite(CallContext& c, const CheckFiniteArgs& a) {
  c.kernel = "cpu.check_finite." GRAFT_ISA;
  const auto* x = a.x.as<const float>();
  const int64_t count = a.x.numel();
  std::atomic<bool> found{false};
  pool_of(c).parallel_for(ceil_div(count, kChunk), [&](int64_t chunk, int) HWY_ATTR {
    V sum = zero();
    for_vectors(chunk * kChunk, std::min(count, (chunk + 1) * kChunk), [&](int64_t i, int64_t n) HWY_ATTR {
      const V v = load_up_to(x + i, n);
      sum = add(sum, sub(v, v));
    });
    if (sum_of_lanes(sum) != 0.f) found.store(true, std::memory_order_relaxed);
  });
  if (found.load(std::memory_order_relaxed)) *a.flag.as<int64_t>() = 1;
  return Status::ok;
}

}  // namespace

static void enter_kernels(KernelTable& table) {
  enter<ActivateArgs, activate>(table);
  enter<ActivateBackwardArgs, activate_backward>(table);
  enter<AddArgs, add_tensors>(table);
  enter<ScaleArgs, scale>(table);
  enter<BroadcastArgs, broadcast>(table);
  enter<CheckFiniteArgs, check_finite>(table);
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(elementwise)
#endif
