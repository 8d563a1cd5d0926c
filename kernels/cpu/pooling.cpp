// Pooling, forward and backward, vectorised over channels; a task is a row of pixels.
//
// Forward: x once from memory (overlapping windows from L2), y once. Backward gathers: every input pixel adds up the
// windows that hold it, so nothing is written twice and no order is left open. Bound by memory.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/pooling.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

// One axis of a window that slides: taps of output o that lie on the input, outputs that hold input i.
struct Axis {
  int64_t input, output, window, stride, pad;
  int64_t start(int64_t o) const { return o * stride - pad; }
  int64_t begin(int64_t o) const { return std::max<int64_t>(0, start(o)); }
  int64_t end(int64_t o) const { return std::min(input, start(o) + window); }
  int64_t first_output(int64_t i) const {
    return std::max<int64_t>(0, ceil_div(std::max<int64_t>(0, i + pad - window + 1), stride));
  }
  int64_t last_output(int64_t i) const { return std::min(output - 1, (i + pad) / stride); }
};

// One axis of an adaptive pool: output o covers the inputs [begin, end).
struct AdaptiveAxis {
  int64_t input, output;
  int64_t begin(int64_t o) const { return o * input / output; }
  int64_t end(int64_t o) const { return ceil_div((o + 1) * input, output); }
  int64_t first_output(int64_t i) const {
    int64_t o = i * output / input;
    while (o > 0 && end(o - 1) > i) --o;
    return o;
  }
  int64_t last_output(int64_t i) const {
    int64_t o = i * output / input;
    while (o + 1 < output && begin(o + 1) <= i) ++o;
    return o;
  }
};

template <typename AxisType>
struct Geometry {
  AxisType rows, columns;
  int64_t images, channels;
};
Geometry<Axis> geometry_of(const Shape& x, const Shape& y, const PoolParams& p) {
  return {
      {x[1], y[1], p.window.h, p.stride.h, p.pad.top}, {x[2], y[2], p.window.w, p.stride.w, p.pad.left}, x[0], x[3]};
}
Geometry<AdaptiveAxis> geometry_of(const Shape& x, const Shape& y) { return {{x[1], y[1]}, {x[2], y[2]}, x[0], x[3]}; }

// body(image, row, column, channel, n) for every vector of an image of `rows` x `columns` pixels.
template <typename Body>
void for_pixels(ThreadPool& pool, int64_t images, int64_t rows, int64_t columns, int64_t channels, Body&& body) {
  constexpr int64_t kShare = 256;  // channels of a task: keeps threads busy on small maps
  const int64_t shares = ceil_div(channels, kShare);
  pool.parallel_for(images * rows * shares, [&](int64_t task, int) HWY_ATTR {
    const int64_t share = task % shares, row = task / shares % rows, image = task / shares / rows;
    for (int64_t column = 0; column < columns; ++column)
      for_vectors(share * kShare, std::min(channels, (share + 1) * kShare),
                  [&](int64_t c, int64_t n) HWY_ATTR { body(image, row, column, c, n); });
  });
}

Status max_pool(CallContext& c, const MaxPoolArgs& a) {
  c.kernel = "cpu.max_pool." GRAFT_ISA;
  const auto g = geometry_of(a.x.shape, a.y.shape, a.pool);
  const auto* x = a.x.as<const float>();
  auto* y = a.y.as<float>();
  auto* index = a.index.present() ? a.index.as<uint8_t>() : nullptr;
  for_pixels(pool_of(c), g.images, g.rows.output, g.columns.output, g.channels,
             [&](int64_t image, int64_t oy, int64_t ox, int64_t channel, int64_t n) HWY_ATTR {
               V best = zero(), winner = zero();
               bool first = true;
               for (int64_t iy = g.rows.begin(oy); iy < g.rows.end(oy); ++iy)
                 for (int64_t ix = g.columns.begin(ox); ix < g.columns.end(ox); ++ix) {
                   const V pixel =
                       load_up_to(x + ((image * g.rows.input + iy) * g.columns.input + ix) * g.channels + channel, n);
                   const V tap =
                       set(static_cast<float>((iy - g.rows.start(oy)) * g.columns.window + ix - g.columns.start(ox)));
                   const M nan_first = hn::And(hn::IsNaN(pixel), hn::Not(hn::IsNaN(best)));
                   const M wins = first ? hn::Eq(zero(), zero()) : hn::Or(hn::Gt(pixel, best), nan_first);
                   best = hn::IfThenElse(wins, pixel, best);
                   winner = hn::IfThenElse(wins, tap, winner);
                   first = false;
                 }
               const int64_t at = ((image * g.rows.output + oy) * g.columns.output + ox) * g.channels + channel;
               store_up_to(best, y + at, n);
               if (index == nullptr) return;
               float taps[kLanes];
               store(winner, taps);
               for (int64_t i = 0; i < n; ++i) index[at + i] = static_cast<uint8_t>(taps[i]);
             });
  return Status::ok;
}

Status max_pool_backward(CallContext& c, const MaxPoolBackwardArgs& a) {
  c.kernel = "cpu.max_pool_backward." GRAFT_ISA;
  const auto g = geometry_of(a.dx.shape, a.dy.shape, a.pool);
  const auto* dy = a.dy.as<const float>();
  const auto* index = a.index.as<const uint8_t>();
  auto* dx = a.dx.as<float>();
  for_pixels(pool_of(c), g.images, g.rows.input, g.columns.input, g.channels,
             [&](int64_t image, int64_t iy, int64_t ix, int64_t channel, int64_t n) HWY_ATTR {
               const I32 i32;
               const hn::Rebind<uint8_t, I32> u8;
               V sum = zero();
               for (int64_t oy = g.rows.first_output(iy); oy <= g.rows.last_output(iy); ++oy)
                 for (int64_t ox = g.columns.first_output(ix); ox <= g.columns.last_output(ix); ++ox) {
                   const int64_t at = ((image * g.rows.output + oy) * g.columns.output + ox) * g.channels + channel;
                   const auto tap =
                       static_cast<int32_t>((iy - g.rows.start(oy)) * g.columns.window + ix - g.columns.start(ox));
                   uint8_t taps[kLanes] = {};
                   const uint8_t* from = index + at;
                   if (n < kLanes) {
                     std::memcpy(taps, from, static_cast<size_t>(n));
                     from = taps;
                   }
                   const auto winner = hn::PromoteTo(i32, hn::LoadU(u8, from));
                   const M mine = hn::RebindMask(F32(), hn::Eq(winner, hn::Set(i32, tap)));
                   sum = add(sum, hn::IfThenElseZero(mine, load_up_to(dy + at, n)));
                 }
               store_up_to(sum, dx + ((image * g.rows.input + iy) * g.columns.input + ix) * g.channels + channel, n);
             });
  return Status::ok;
}

// y = Σ over the window · scale(oy, ox)
template <typename AxisType, typename Scale>
void average(ThreadPool& pool, const Geometry<AxisType>& g, const float* x, float* y, Scale&& scale) {
  for_pixels(pool, g.images, g.rows.output, g.columns.output, g.channels,
             [&](int64_t image, int64_t oy, int64_t ox, int64_t channel, int64_t n) HWY_ATTR {
               V even = zero(), odd = zero();
               for (int64_t iy = g.rows.begin(oy); iy < g.rows.end(oy); ++iy) {
                 const float* row = x + (image * g.rows.input + iy) * g.columns.input * g.channels + channel;
                 const int64_t end = g.columns.end(ox);
                 int64_t ix = g.columns.begin(ox);
                 for (; ix + 2 <= end; ix += 2) {
                   even = add(even, load_up_to(row + ix * g.channels, n));
                   odd = add(odd, load_up_to(row + (ix + 1) * g.channels, n));
                 }
                 if (ix < end) even = add(even, load_up_to(row + ix * g.channels, n));
               }
               store_up_to(mul(add(even, odd), set(scale(oy, ox))),
                           y + ((image * g.rows.output + oy) * g.columns.output + ox) * g.channels + channel, n);
             });
}

// dx = Σ over the windows that hold the pixel of dy · scale
template <typename AxisType, typename Scale>
void spread(ThreadPool& pool, const Geometry<AxisType>& g, const float* dy, float* dx, Scale&& scale) {
  for_pixels(pool, g.images, g.rows.input, g.columns.input, g.channels,
             [&](int64_t image, int64_t iy, int64_t ix, int64_t channel, int64_t n) HWY_ATTR {
               V sum = zero();
               for (int64_t oy = g.rows.first_output(iy); oy <= g.rows.last_output(iy); ++oy)
                 for (int64_t ox = g.columns.first_output(ix); ox <= g.columns.last_output(ix); ++ox) {
                   const V d = load_up_to(
                       dy + ((image * g.rows.output + oy) * g.columns.output + ox) * g.channels + channel, n);
                   sum = fma(d, set(scale(oy, ox)), sum);
                 }
               store_up_to(sum, dx + ((image * g.rows.input + iy) * g.columns.input + ix) * g.channels + channel, n);
             });
}

// 1 / the pixels a window is divided by
template <typename AxisType>
float inverse_pixels(const Geometry<AxisType>& g, int64_t oy, int64_t ox) {
  const int64_t pixels = (g.rows.end(oy) - g.rows.begin(oy)) * (g.columns.end(ox) - g.columns.begin(ox));
  return static_cast<float>(1.0 / static_cast<double>(pixels));
}
auto window_scale(const Geometry<Axis>& g, const PoolParams& p) {
  const float whole = static_cast<float>(1.0 / (static_cast<double>(p.window.h) * p.window.w));
  const bool all = p.count_include_pad != 0;
  return [&g, whole, all](int64_t oy, int64_t ox) { return all ? whole : inverse_pixels(g, oy, ox); };
}

Status avg_pool(CallContext& c, const AvgPoolArgs& a) {
  c.kernel = "cpu.avg_pool." GRAFT_ISA;
  const auto g = geometry_of(a.x.shape, a.y.shape, a.pool);
  average(pool_of(c), g, a.x.as<const float>(), a.y.as<float>(), window_scale(g, a.pool));
  return Status::ok;
}
Status avg_pool_backward(CallContext& c, const AvgPoolBackwardArgs& a) {
  c.kernel = "cpu.avg_pool_backward." GRAFT_ISA;
  const auto g = geometry_of(a.dx.shape, a.dy.shape, a.pool);
  spread(pool_of(c), g, a.dy.as<const float>(), a.dx.as<float>(), window_scale(g, a.pool));
  return Status::ok;
}
Status adaptive_avg_pool(CallContext& c, const AdaptiveAvgPoolArgs& a) {
  c.kernel = "cpu.adaptive_avg_pool." GRAFT_ISA;
  const auto g = geometry_of(a.x.shape, a.y.shape);
  average(pool_of(c), g, a.x.as<const float>(), a.y.as<float>(),
          [&](int64_t oy, int64_t ox) { return inverse_pixels(g, oy, ox); });
  return Status::ok;
}
Status adaptive_avg_pool_backward(CallContext& c, const AdaptiveAvgPoolBackwardArgs& a) {
  c.kernel = "cpu.adaptive_avg_pool_backward." GRAFT_ISA;
  const auto g = geometry_of(a.dx.shape, a.dy.shape);
  spread(pool_of(c), g, a.dy.as<const float>(), a.dx.as<float>(),
         [&](int64_t oy, int64_t ox) { return inverse_pixels(g, oy, ox); });
  return Status::ok;
}

}  // namespace

static void enter_kernels(KernelTable& table) {
  enter<MaxPoolArgs, max_pool>(table);
  enter<MaxPoolBackwardArgs, max_pool_backward>(table);
  enter<AvgPoolArgs, avg_pool>(table);
  enter<AvgPoolBackwardArgs, avg_pool_backward>(table);
  enter<AdaptiveAvgPoolArgs, adaptive_avg_pool>(table);
  enter<AdaptiveAvgPoolBackwardArgs, adaptive_avg_pool_backward>(table);
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(pooling)
#endif
