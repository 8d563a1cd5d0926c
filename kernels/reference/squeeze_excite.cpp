// Squeeze-and-excite's gate: two small layers on each image's sums.
#include <vector>

#include "kernels/reference/activation.h"
#include "kernels/reference/checks.h"
#include "kernels/reference/primitives.h"
#include "kernels/reference/views.h"

namespace graft::reference {

// hidden[s] = act(Σ_c weight1[s,c] · factor · squeeze[n,c] + bias1[s])
// gate[n,c] = gate_act(Σ_s weight2[c,s] · hidden[s] + bias2[c])
Status squeeze_excite(const SqueezeExciteArgs& a) {
  const DType t = a.gate.dtype;
  if (!one_float_type(a.squeeze, a.weight1, a.weight2, a.gate) || a.squeeze.shape.rank != 2 ||
      a.weight1.shape.rank != 2)
    return Status::invalid_argument;
  const int64_t units = a.weight1.shape[0], channels = a.weight1.shape[1];
  if (units > SqueezeExciteArgs::kMaxUnits || a.squeeze.shape[1] != channels || a.gate.shape != a.squeeze.shape ||
      a.weight2.shape != Shape{channels, units} || !absent_or(a.bias1, t, {units}) ||
      !absent_or(a.bias2, t, {channels}) || !is_activation(a.activation) || !is_activation(a.gate_activation))
    return Status::invalid_argument;

  return for_float_type(t, [&](auto type) {
    using T = decltype(type);
    const View2<const T> squeeze(a.squeeze), weight1(a.weight1), weight2(a.weight2);
    const View2<T> gate(a.gate);
    const T *bias1 = optional<const T>(a.bias1), *bias2 = optional<const T>(a.bias2);
    std::vector<double> hidden(static_cast<size_t>(units));
    for (int64_t n = 0; n < gate.extent(0); ++n) {
      for (int64_t s = 0; s < units; ++s) {
        double sum = bias1 ? bias1[s] : 0;
        for (int64_t c = 0; c < channels; ++c) sum += a.factor * squeeze(n, c) * weight1(s, c);
        hidden[static_cast<size_t>(s)] = activated(a.activation, sum);
      }
      for (int64_t c = 0; c < channels; ++c) {
        double sum = bias2 ? bias2[c] : 0;
        for (int64_t s = 0; s < units; ++s) sum += hidden[static_cast<size_t>(s)] * weight2(c, s);
        gate(n, c) = static_cast<T>(activated(a.gate_activation, sum));
      }
    }
  });
}

}  // namespace graft::reference
