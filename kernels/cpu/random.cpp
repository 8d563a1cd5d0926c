// Bernoulli masks from Philox (contract/philox.h): element i depends on i alone, so any split gives the same mask. Four
// elements a block of ten rounds; the compiler keeps several blocks under way. Bound by the integer multiplier.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/random.cpp"
#include "contract/philox.h"
#include "hwy/foreach_target.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

Status bernoulli_mask(CallContext& c, const BernoulliMaskArgs& a) {
  c.kernel = "cpu.bernoulli_mask.philox";
  const auto seed = static_cast<uint64_t>(a.state.as<const int64_t>()[0]);
  const auto offset = static_cast<uint64_t>(a.state.as<const int64_t>()[1]);
  const auto stream = static_cast<uint64_t>(a.stream);
  const float kept = static_cast<float>(1 / (1 - a.probability));
  const double probability = a.probability;
  auto* y = a.y.as<float>();
  const int64_t count = a.y.numel();
  constexpr int64_t kChunk = 4096;  // a multiple of 4
  pool_of(c).parallel_for(ceil_div(count, kChunk), [&](int64_t chunk, int) HWY_ATTR {
    const int64_t end = std::min(count, (chunk + 1) * kChunk);
    for (int64_t i = chunk * kChunk; i < end; i += 4) {
      const PhiloxBlock block = philox(seed, offset + static_cast<uint64_t>(i / 4), stream);
      for (int64_t j = 0; j < std::min<int64_t>(4, end - i); ++j)
        y[i + j] = static_cast<double>(unit_float(block.word[j])) >= probability ? kept : 0.f;
    }
  });
  return Status::ok;
}

}  // namespace

static void enter_kernels(KernelTable& table) { enter<BernoulliMaskArgs, bernoulli_mask>(table); }

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(random)
#endif
