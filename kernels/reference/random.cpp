#include "contract/philox.h"
#include "kernels/reference/checks.h"
#include "kernels/reference/primitives.h"

namespace graft::reference {

// y[i] = u_i >= probability ? 1 / (1 − probability) : 0, u_i the upper 24 bits of word i % 4 of Philox block i / 4
Status bernoulli_mask(const BernoulliMaskArgs& a) {
  if (!is(a.state, DType::i64, {2}) || !is_float(a.y) || !(a.probability >= 0 && a.probability < 1))
    return Status::invalid_argument;
  const auto seed = static_cast<uint64_t>(a.state.as<int64_t>()[0]);
  const auto offset = static_cast<uint64_t>(a.state.as<int64_t>()[1]);
  const auto stream = static_cast<uint64_t>(a.stream);

  return for_float_type(a.y.dtype, [&](auto type) {
    using T = decltype(type);
    const T kept = static_cast<T>(1 / (1 - a.probability));
    for (int64_t i = 0; i < a.y.numel(); ++i) {
      const PhiloxBlock block = philox(seed, offset + static_cast<uint64_t>(i / 4), stream);
      const double u = unit_float(block.word[i % 4]);
      a.y.as<T>()[i] = u >= a.probability ? kept : 0;
    }
  });
}

}  // namespace graft::reference
