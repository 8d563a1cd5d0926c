// Squeeze-and-excite's gate: gate = gate_act(weight2 · act(weight1 · (factor · squeeze) + bias1) + bias2).
// Two products of a row with 2·S·C weights an image, which stay in L2 from image to image, in the order of memory: the
// rows of weight1 are long, those of weight2 a few vectors. Images go to threads, each whole.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/squeeze_excite.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/activation-inl.h"
#include "kernels/cpu/workspace.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

// out[r] = Σ_i matrix[r,i] · x[i] for kRows rows: as many sums under way as hide the latency of one.
template <int kRows>
HWY_INLINE void multiply_rows(const float* matrix, int64_t length, const float* x, float* out) {
  V sum[kRows];
  GRAFT_UNROLL for (int r = 0; r < kRows; ++r) sum[r] = zero();
  for_vectors(0, length, [&](int64_t i, int64_t n) HWY_ATTR {
    const V v = load_up_to(x + i, n);
    GRAFT_UNROLL for (int r = 0; r < kRows; ++r) sum[r] = fma(load_up_to(matrix + r * length + i, n), v, sum[r]);
  });
  GRAFT_UNROLL for (int r = 0; r < kRows; ++r) out[r] = sum_of_lanes(sum[r]);
}

// y = act(factor · matrix · x + bias), matrix [rows, columns]
HWY_NOINLINE void layer(const float* matrix, int64_t rows, int64_t columns, const float* x, float factor,
                        const float* bias, Activation activation, float* y) {
  constexpr int kRows = 8;
  int64_t row = 0;
  for (; row + kRows <= rows; row += kRows) multiply_rows<kRows>(matrix + row * columns, columns, x, y + row);
  for (; row < rows; ++row) multiply_rows<1>(matrix + row * columns, columns, x, y + row);
  with_activation(activation, [&](auto kind) HWY_ATTR {
    for_vectors(0, rows, [&](int64_t i, int64_t n) HWY_ATTR {
      const V shift = bias != nullptr ? load_up_to(bias + i, n) : zero();
      store_up_to(activated<decltype(kind)::value>(fma(load_up_to(y + i, n), set(factor), shift)), y + i, n);
    });
  });
}

int64_t hidden_bytes(const SqueezeExciteArgs& a) {
  return align_up(a.weight1.shape[0] * static_cast<int64_t>(sizeof(float)));
}
int64_t workspace_bytes(int threads, const SqueezeExciteArgs& a) { return threads * hidden_bytes(a); }

Status squeeze_excite(CallContext& c, const SqueezeExciteArgs& a) {
  c.kernel = "cpu.squeeze_excite." GRAFT_ISA;
  const int64_t units = a.weight1.shape[0], channels = a.weight1.shape[1];
  pool_of(c).parallel_for(a.gate.shape[0], [&](int64_t image, int slot) HWY_ATTR {
    auto* hidden = reinterpret_cast<float*>(static_cast<char*>(c.workspace) + slot * hidden_bytes(a));
    layer(a.weight1.as<const float>(), units, channels, a.squeeze.as<const float>() + image * channels,
          static_cast<float>(a.factor), a.bias1.as<const float>(), a.activation, hidden);
    layer(a.weight2.as<const float>(), channels, units, hidden, 1.f, a.bias2.as<const float>(), a.gate_activation,
          a.gate.as<float>() + image * channels);
  });
  return Status::ok;
}

}  // namespace

static void enter_kernels(KernelTable& table) {
  enter<SqueezeExciteArgs, squeeze_excite>(table);
  enter_workspace<SqueezeExciteArgs, workspace_bytes>(table);
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(squeeze_excite)
#endif
