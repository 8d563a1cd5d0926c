// Batch norm over rows of C channels, m rows: training, inference, backward, running statistics.
//
// Statistics in two levels: blocks of rows small enough to stay in L2 give their sum and, about their own mean, their
// sum of squares; blocks are joined in order, in double (Chan, Golub & LeVeque 1979), so neither a large mean nor many
// rows cost digits. Blocks follow the shape alone.
//   training: x read once from memory for the statistics, then x (and residual) read and y written: 2R + 1W (+1R)
//   backward: dy, x read for the sums, then again for dx: 4R + 1W (+1W dresidual); act′ comes from x, or from the mask
// Bound by memory.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/batch_norm.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/activation-inl.h"
#include "kernels/cpu/workspace.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

// Blocks of rows: about 64 KB of a tensor, at most 256 blocks of sums.
struct Blocks {
  int64_t rows, channels, size, count;
  Blocks(int64_t m, int64_t c) : rows(m), channels(c) {
    size = std::max<int64_t>({1, 16384 / std::max<int64_t>(c, 1), ceil_div(m, 256)});
    count = ceil_div(m, size);
  }
  int64_t first(int64_t b) const { return b * size; }
  int64_t end(int64_t b) const { return std::min(rows, (b + 1) * size); }
};

// Σ over rows of value(offset, n) for one vector of channels, in four partial sums.
template <typename Value>
HWY_INLINE V sum_rows(int64_t first, int64_t end, int64_t channels, Value&& value) {
  V s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
  int64_t r = first;
  for (; r + 4 <= end; r += 4) {
    s0 = add(s0, value(r * channels));
    s1 = add(s1, value((r + 1) * channels));
    s2 = add(s2, value((r + 2) * channels));
    s3 = add(s3, value((r + 3) * channels));
  }
  for (; r < end; ++r) s0 = add(s0, value(r * channels));
  return add(add(s0, s1), add(s2, s3));
}

// Masks, as contract/primitives.h lays them: of n lanes from channel i on, `width` go into a byte; four lanes of a
// narrow vector are half of one.
HWY_INLINE void store_mask(M let_pass, uint8_t* mask, int64_t i, int64_t n, int64_t width) {
  alignas(8) uint8_t packed[8] = {};
  hn::StoreMaskBits(F32(), let_pass, packed);
  const uint32_t bits = packed[0] | uint32_t{packed[1]} << 8, each = (1u << width) - 1;
  const int64_t half = i % width;
  uint8_t* to = mask + i / width;
  if (half != 0)
    *to = static_cast<uint8_t>(*to | bits << half);
  else
    for (int64_t b = 0; b * width < n; ++b) to[b] = static_cast<uint8_t>(bits >> (b * width) & each);
}
HWY_INLINE M load_mask(const uint8_t* mask, int64_t i, int64_t n, int64_t width) {
  uint32_t bits = 0;
  const uint32_t each = (1u << width) - 1;
  for (int64_t b = 0; b * width < n; ++b) bits |= (mask[i / width + b] & each) << (b * width);
  bits >>= i % width;
  alignas(8) const uint8_t packed[8] = {static_cast<uint8_t>(bits), static_cast<uint8_t>(bits >> 8)};
  return hn::LoadMaskBits(F32(), packed);
}

// y = act((x − mean) · scale + bias + residual)
struct Apply {
  const float *x, *mean, *scale, *bias, *residual;
  float* y;
  uint8_t* mask;  // nullptr: not wanted
  Activation activation;
};
void apply(ThreadPool& pool, const Blocks& blocks, const Apply& a) {
  const int64_t c = blocks.channels, width = mask_width(c);
  const Limits limits = limits_of(a.activation);
  pool.parallel_for(blocks.count, [&](int64_t block, int) HWY_ATTR {
    const V low = set(limits.low), high = set(limits.high);
    for (int64_t r = blocks.first(block); r < blocks.end(block); ++r) {
      for_vectors(0, c, [&](int64_t i, int64_t n) HWY_ATTR {
        const V centred = sub(load_up_to(a.x + r * c + i, n), load_up_to(a.mean + i, n));
        V y = fma(centred, load_up_to(a.scale + i, n), load_up_to(a.bias + i, n));
        if (a.residual != nullptr) y = add(y, load_up_to(a.residual + r * c + i, n));
        if (a.mask != nullptr)
          store_mask(hn::And(hn::Gt(y, zero()), hn::Lt(y, high)), a.mask + r * (c / width), i, n, width);
        store_up_to(clamp(y, low, high), a.y + r * c + i, n);
      });
      if (needs_exp(a.activation)) activate_rows(a.y + r * c, c, 1, c, a.activation);
    }
  });
}

float inverse_std(float var, double eps) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(var) + eps)); }

Status training(CallContext& c, const BatchNormTrainingArgs& a) {
  c.kernel = "cpu.batch_norm_training.two_level." GRAFT_ISA;
  const int64_t channels = a.x.shape.channels(), m = a.x.shape.rows();
  const Blocks blocks(m, channels);
  Workspace workspace(c.workspace);
  float* sums = workspace.take<float>(blocks.count * channels);     // then means
  float* squares = workspace.take<float>(blocks.count * channels);  // about the block's mean
  float* scale = workspace.take<float>(channels);
  const auto* x = a.x.as<const float>();

  pool_of(c).parallel_for(blocks.count, [&](int64_t block, int) HWY_ATTR {
    const int64_t first = blocks.first(block), end = blocks.end(block);
    const V inverse = set(1.f / static_cast<float>(end - first));
    for_vectors(0, channels, [&](int64_t i, int64_t n) HWY_ATTR {
      const V start = load_up_to(x + first * channels + i, n);  // about the first row: equal values have variance 0
      const V mean = fma(
          inverse,
          sum_rows(first, end, channels, [&](int64_t at) HWY_ATTR { return sub(load_up_to(x + at + i, n), start); }),
          start);
      // About that mean; what is left of the sum corrects both (Chan et al., equation 1.7).
      V left[2] = {zero(), zero()}, square[2] = {zero(), zero()};
      for (int64_t r = first; r < end; ++r) {
        const V d = sub(load_up_to(x + r * channels + i, n), mean);
        left[r & 1] = add(left[r & 1], d);
        square[r & 1] = fma(d, d, square[r & 1]);
      }
      const V rest = add(left[0], left[1]), correction = mul(inverse, rest);
      store_up_to(add(mean, correction), sums + block * channels + i, n);
      store_up_to(fnma(rest, correction, add(square[0], square[1])), squares + block * channels + i, n);
    });
  });

  auto *mean_out = a.mean.as<float>(), *var_out = a.var.as<float>();
  constexpr int64_t kChunk = 64;
  pool_of(c).parallel_for(ceil_div(channels, kChunk), [&](int64_t chunk, int) HWY_ATTR {
    for (int64_t i = chunk * kChunk; i < std::min(channels, (chunk + 1) * kChunk); ++i) {
      double mean = 0, square = 0;
      for (int64_t b = 0; b < blocks.count; ++b)
        mean += static_cast<double>(blocks.end(b) - blocks.first(b)) * static_cast<double>(sums[b * channels + i]);
      mean /= static_cast<double>(m);
      for (int64_t b = 0; b < blocks.count; ++b) {
        const double d = static_cast<double>(sums[b * channels + i]) - mean;
        square += static_cast<double>(squares[b * channels + i]) +
                  d * d * static_cast<double>(blocks.end(b) - blocks.first(b));
      }
      mean_out[i] = static_cast<float>(mean);
      var_out[i] = static_cast<float>(square / static_cast<double>(m));
      scale[i] = inverse_std(var_out[i], a.eps) * a.weight.as<const float>()[i];
    }
  });
  apply(pool_of(c), blocks,
        {x, mean_out, scale, a.bias.as<const float>(), a.residual.as<const float>(), a.y.as<float>(),
         a.mask.as<uint8_t>(), a.activation});
  return Status::ok;
}

int64_t training_workspace(int, const BatchNormTrainingArgs& a) {
  const Blocks blocks(a.x.shape.rows(), a.x.shape.channels());
  Workspace workspace;
  workspace.take<float>(blocks.count * blocks.channels);
  workspace.take<float>(blocks.count * blocks.channels);
  workspace.take<float>(blocks.channels);
  return workspace.bytes();
}

Status inference(CallContext& c, const BatchNormInferenceArgs& a) {
  c.kernel = "cpu.batch_norm_inference." GRAFT_ISA;
  const int64_t channels = a.x.shape.channels();
  Workspace workspace(c.workspace);
  float* scale = workspace.take<float>(channels);
  for (int64_t i = 0; i < channels; ++i)
    scale[i] = inverse_std(a.var.as<const float>()[i], a.eps) * a.weight.as<const float>()[i];
  apply(pool_of(c), Blocks(a.x.shape.rows(), channels),
        {a.x.as<const float>(), a.mean.as<const float>(), scale, a.bias.as<const float>(), a.residual.as<const float>(),
         a.y.as<float>(), a.mask.as<uint8_t>(), a.activation});
  return Status::ok;
}
int64_t inference_workspace(int, const BatchNormInferenceArgs& a) {
  return align_up(a.x.shape.channels() * static_cast<int64_t>(sizeof(float)));
}

// g = dy · act′(z), z = (x − mean) · scale + bias as forward made it, or what the mask let pass.
struct Gradient {
  const float *x, *dy, *mean, *scale, *bias;
  const uint8_t* mask;
  int64_t channels, width;
};
template <Activation A>
HWY_INLINE V gradient(const Gradient& g, int64_t row, int64_t i, int64_t n) {
  const V dy = load_up_to(g.dy + row * g.channels + i, n);
  if constexpr (A == Activation::none) return dy;
  if (g.mask != nullptr) return hn::IfThenElseZero(load_mask(g.mask + row * (g.channels / g.width), i, n, g.width), dy);
  const V centred = sub(load_up_to(g.x + row * g.channels + i, n), load_up_to(g.mean + i, n));
  const V z = fma(centred, load_up_to(g.scale + i, n), load_up_to(g.bias + i, n));
  return activation_gradient<A>(A == Activation::sigmoid ? sigmoid_of(z) : z, dy);
}

template <Activation A>
Status backward_of(CallContext& c, const BatchNormBackwardArgs& a) {
  c.kernel = "cpu.batch_norm_backward.two_pass." GRAFT_ISA;
  const int64_t channels = a.x.shape.channels(), m = a.x.shape.rows();
  const Blocks blocks(m, channels);
  Workspace workspace(c.workspace);
  float* sum_g = workspace.take<float>(blocks.count * channels);
  float* sum_gx = workspace.take<float>(blocks.count * channels);
  float* inverse = workspace.take<float>(channels);  // 1 / √(var + eps)
  float* scale = workspace.take<float>(channels);    // weight · inverse
  float* shift = workspace.take<float>(channels);    // Σg / m
  float* slope = workspace.take<float>(channels);    // Σg·x̂ / m
  const auto *x = a.x.as<const float>(), *mean = a.mean.as<const float>();
  const Gradient g{x,        a.dy.as<const float>(), mean, scale, a.bias.as<const float>(), a.mask.as<const uint8_t>(),
                   channels, mask_width(channels)};

  for (int64_t i = 0; i < channels; ++i) {
    inverse[i] = inverse_std(a.var.as<const float>()[i], a.eps);
    scale[i] = inverse[i] * a.weight.as<const float>()[i];
    shift[i] = slope[i] = 0;
  }

  const bool batch = a.batch_statistics != 0;
  if (a.dweight.present() || a.dbias.present() || (a.dx.present() && batch)) {
    pool_of(c).parallel_for(blocks.count, [&](int64_t block, int) HWY_ATTR {
      for_vectors(0, channels, [&](int64_t i, int64_t n) HWY_ATTR {
        const V centre = load_up_to(mean + i, n), inv = load_up_to(inverse + i, n);
        V s[2] = {zero(), zero()}, t[2] = {zero(), zero()};
        for (int64_t r = blocks.first(block); r < blocks.end(block); ++r) {
          const V dy = gradient<A>(g, r, i, n);
          const V normal = mul(sub(load_up_to(x + r * channels + i, n), centre), inv);
          s[r & 1] = add(s[r & 1], dy);
          t[r & 1] = fma(dy, normal, t[r & 1]);
        }
        store_up_to(add(s[0], s[1]), sum_g + block * channels + i, n);
        store_up_to(add(t[0], t[1]), sum_gx + block * channels + i, n);
      });
    });
    for (int64_t i = 0; i < channels; ++i) {
      double dbias = 0, dweight = 0;
      for (int64_t b = 0; b < blocks.count; ++b) {
        dbias += static_cast<double>(sum_g[b * channels + i]);
        dweight += static_cast<double>(sum_gx[b * channels + i]);
      }
      if (a.dbias.present()) a.dbias.as<float>()[i] = static_cast<float>(dbias);
      if (a.dweight.present()) a.dweight.as<float>()[i] = static_cast<float>(dweight);
      if (batch && m > 0) {
        shift[i] = static_cast<float>(dbias / static_cast<double>(m));
        slope[i] = static_cast<float>(dweight / static_cast<double>(m));
      }
    }
  }

  float *dx = a.dx.as<float>(), *dresidual = a.dresidual.as<float>();
  const bool write_dx = a.dx.present(), write_residual = a.dresidual.present();
  if (!write_dx && !write_residual) return Status::ok;
  pool_of(c).parallel_for(blocks.count, [&](int64_t block, int) HWY_ATTR {
    for (int64_t r = blocks.first(block); r < blocks.end(block); ++r)
      for_vectors(0, channels, [&](int64_t i, int64_t n) HWY_ATTR {
        const int64_t at = r * channels + i;
        const V dy = gradient<A>(g, r, i, n);
        if (write_residual) store_up_to(dy, dresidual + at, n);
        if (!write_dx) return;
        V d = dy;
        if (batch) {
          const V normal = mul(sub(load_up_to(x + at, n), load_up_to(mean + i, n)), load_up_to(inverse + i, n));
          d = fnma(normal, load_up_to(slope + i, n), sub(dy, load_up_to(shift + i, n)));
        }
        store_up_to(mul(d, load_up_to(scale + i, n)), dx + at, n);
      });
  });
  return Status::ok;
}

Status backward(CallContext& c, const BatchNormBackwardArgs& a) {
  Status status = Status::ok;
  with_activation(a.activation, [&](auto kind) { status = backward_of<decltype(kind)::value>(c, a); });
  return status;
}

int64_t backward_workspace(int, const BatchNormBackwardArgs& a) {
  const Blocks blocks(a.x.shape.rows(), a.x.shape.channels());
  Workspace workspace;
  for (int i = 0; i < 2; ++i) workspace.take<float>(blocks.count * blocks.channels);
  for (int i = 0; i < 4; ++i) workspace.take<float>(blocks.channels);
  return workspace.bytes();
}

Status update_running_stats(CallContext& c, const UpdateRunningStatsArgs& a) {
  c.kernel = "cpu.update_running_stats." GRAFT_ISA;
  if (a.flag.present() && *a.flag.as<const int64_t>() != 0) return Status::ok;
  const float momentum = static_cast<float>(a.momentum), keep = static_cast<float>(1 - a.momentum);
  const float bessel = static_cast<float>(a.momentum * static_cast<double>(a.rows) / static_cast<double>(a.rows - 1));
  auto *running_mean = a.running_mean.as<float>(), *running_var = a.running_var.as<float>();
  for_vectors(0, a.mean.numel(), [&](int64_t i, int64_t n) HWY_ATTR {
    const V mean = mul(set(momentum), load_up_to(a.mean.as<const float>() + i, n));
    const V var = mul(set(bessel), load_up_to(a.var.as<const float>() + i, n));
    store_up_to(fma(set(keep), load_up_to(running_mean + i, n), mean), running_mean + i, n);
    store_up_to(fma(set(keep), load_up_to(running_var + i, n), var), running_var + i, n);
  });
  return Status::ok;
}

}  // namespace

static void enter_kernels(KernelTable& table) {
  enter<BatchNormTrainingArgs, training>(table);
  enter_workspace<BatchNormTrainingArgs, training_workspace>(table);
  enter<BatchNormInferenceArgs, inference>(table);
  enter_workspace<BatchNormInferenceArgs, inference_workspace>(table);
  enter<BatchNormBackwardArgs, backward>(table);
  enter_workspace<BatchNormBackwardArgs, backward_workspace>(table);
  enter<UpdateRunningStatsArgs, update_running_stats>(table);
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(batch_norm)
#endif
