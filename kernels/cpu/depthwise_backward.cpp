// Depthwise convolution, both gradients.
//
// By the input: the forward kernel over dy with each phase's taps in reverse (conv_phases.h), copied to the workspace.
// Reads dy and writes dx once.
//
// By the weight: dweight[r,s,c] = Σ dy[p,c] · x[p·stride − pad + tap·dilation, c]. For a vector of channels and a band
// of output rows each tap is a sum along the row, in four partial sums that hide the adder's latency; bands are parts
// with sums of their own, fixed by shape and added in order in double. Reads x and dy once from memory, taps times from
// L2.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/depthwise_backward.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/conv_phases.h"
#include "kernels/cpu/depthwise_engine-inl.h"
#include "kernels/cpu/workspace.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

Status backward_data(CallContext& c, const DepthwiseConv2dBackwardDataArgs& a) {
  c.kernel = "cpu.depthwise_conv2d_backward_data.direct." GRAFT_ISA;
  const Shape &dx = a.dx.shape, &dy = a.dy.shape, &w = a.weight.shape;
  if (a.dx.numel() == 0) return Status::ok;
  Workspace workspace(c.workspace);
  float* taps = workspace.take<float>(a.weight.numel());
  for_phases(dx, w[0], w[1], a.conv, [&](const PhasePlace& phase) HWY_ATTR {
    float* to = taps;
    for (int64_t i = 0; i < phase.rows.taps; ++i)
      for (int64_t j = 0; j < phase.columns.taps; ++j, to += w[2]) {
        const int64_t r = phase.rows.first_tap + (phase.rows.taps - 1 - i) * phase.rows.step;
        const int64_t s = phase.columns.first_tap + (phase.columns.taps - 1 - j) * phase.columns.step;
        std::memcpy(to, a.weight.as<const float>() + (r * w[1] + s) * w[2], static_cast<size_t>(w[2]) * sizeof(float));
      }
    run_depthwise(pool_of(c), {.x = a.dy.as<const float>(),
                               .images = dy[0],
                               .h = dy[1],
                               .w = dy[2],
                               .channels = dy[3],
                               .oh = phase.rows.outputs,
                               .ow = phase.columns.outputs,
                               .taps_h = phase.rows.taps,
                               .taps_w = phase.columns.taps,
                               .stride_h = 1,
                               .stride_w = 1,
                               .dilation_h = phase.rows.dilation,
                               .dilation_w = phase.columns.dilation,
                               .pad_top = phase.rows.pad,
                               .pad_left = phase.columns.pad,
                               .weight = taps,
                               .y = a.dx.as<float>() + phase.y_offset,
                               .y_image = dx[1] * dx[2] * dx[3],
                               .y_row = a.conv.stride.h * dx[2] * dx[3],
                               .y_pixel = a.conv.stride.w * dx[3],
                               .bias = nullptr,
                               .activation = Activation::none});
  });
  return Status::ok;
}

int64_t backward_data_workspace(int, const DepthwiseConv2dBackwardDataArgs& a) { return align_up(a.weight.bytes()); }

// ---- by the weight

struct WeightPlan {
  int64_t images, h, w, channels, oh, ow, taps_h, taps_w;
  int64_t rows, parts;  // output rows in a part, over all images
};

WeightPlan plan_of(const DepthwiseConv2dBackwardWeightArgs& a) {
  const Shape &x = a.x.shape, &dy = a.dy.shape, &w = a.dweight.shape;
  WeightPlan p{x[0], x[1], x[2], x[3], dy[1], dy[2], w[0], w[1], 0, 0};
  const int64_t all = p.images * p.oh;
  p.rows = std::max<int64_t>(7, ceil_div(all, 32));
  p.parts = ceil_div(all, p.rows);
  return p;
}

// Σ over the pixels of one row under one tap.
HWY_INLINE V row_sum(const float* x, int64_t x_step, const float* dy, int64_t dy_step, int64_t pixels, int64_t n) {
  V s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
  int64_t i = 0;
  if (n == kLanes) {
    for (; i + 4 <= pixels; i += 4, x += 4 * x_step, dy += 4 * dy_step) {
      s0 = fma(load(x), load(dy), s0);
      s1 = fma(load(x + x_step), load(dy + dy_step), s1);
      s2 = fma(load(x + 2 * x_step), load(dy + 2 * dy_step), s2);
      s3 = fma(load(x + 3 * x_step), load(dy + 3 * dy_step), s3);
    }
  }
  for (; i < pixels; ++i, x += x_step, dy += dy_step) s0 = fma(load_up_to(x, n), load_up_to(dy, n), s0);
  return add(add(s0, s1), add(s2, s3));
}

Status backward_weight(CallContext& c, const DepthwiseConv2dBackwardWeightArgs& a) {
  c.kernel = "cpu.depthwise_conv2d_backward_weight.direct." GRAFT_ISA;
  const WeightPlan p = plan_of(a);
  const int64_t floats = a.dweight.numel(), vectors = ceil_div(p.channels, kLanes);
  Workspace workspace(c.workspace);
  float* partial = workspace.take<float>(p.parts * floats);
  const auto *x = a.x.as<const float>(), *dy = a.dy.as<const float>();
  const Conv2dParams& conv = a.conv;

  constexpr int64_t kVectors = 4;  // of channels a task
  const int64_t shares = ceil_div(vectors, kVectors);
  pool_of(c).parallel_for(p.parts * shares, [&](int64_t task, int) HWY_ATTR {
    const int64_t share = task % shares, part = task / shares;
    const int64_t first = part * p.rows, end = std::min(p.images * p.oh, first + p.rows);
    for (int64_t v = share * kVectors; v < std::min(vectors, (share + 1) * kVectors); ++v) {
      const int64_t channel = v * kLanes, n = std::min<int64_t>(kLanes, p.channels - channel);
      float* sums = partial + part * floats + channel;
      for (int64_t tap = 0; tap < p.taps_h * p.taps_w; ++tap) store_up_to(zero(), sums + tap * p.channels, n);
      for (int64_t row = first; row < end; ++row) {
        const int64_t image = row / p.oh, oy = row % p.oh;
        for (int64_t r = 0; r < p.taps_h; ++r) {
          const int64_t iy = oy * conv.stride.h - conv.pad.top + r * conv.dilation.h;
          if (iy < 0 || iy >= p.h) continue;
          for (int64_t s = 0; s < p.taps_w; ++s) {
            const int64_t shift = s * conv.dilation.w - conv.pad.left, stride = conv.stride.w;
            const int64_t lo = shift < 0 ? std::min(p.ow, ceil_div(-shift, stride)) : 0;
            const int64_t hi = p.w - shift > 0 ? std::min(p.ow, ceil_div(p.w - shift, stride)) : 0;
            if (hi <= lo) continue;
            float* to = sums + (r * p.taps_w + s) * p.channels;
            const V sum =
                row_sum(x + ((image * p.h + iy) * p.w + lo * stride + shift) * p.channels + channel,
                        stride * p.channels, dy + (row * p.ow + lo) * p.channels + channel, p.channels, hi - lo, n);
            store_up_to(add(load_up_to(to, n), sum), to, n);
          }
        }
      }
    }
  });

  float* dweight = a.dweight.as<float>();
  constexpr int64_t kChunk = 1024;
  pool_of(c).parallel_for(ceil_div(floats, kChunk), [&](int64_t chunk, int) HWY_ATTR {
    for (int64_t i = chunk * kChunk; i < std::min(floats, (chunk + 1) * kChunk); ++i) {
      double sum = 0;
      for (int64_t part = 0; part < p.parts; ++part) sum += partial[part * floats + i];
      dweight[i] = static_cast<float>(sum);
    }
  });
  return Status::ok;
}

int64_t backward_weight_workspace(int, const DepthwiseConv2dBackwardWeightArgs& a) {
  return align_up(plan_of(a).parts * a.dweight.bytes());
}

}  // namespace

static void enter_kernels(KernelTable& table) {
  enter<DepthwiseConv2dBackwardDataArgs, backward_data>(table);
  enter_workspace<DepthwiseConv2dBackwardDataArgs, backward_data_workspace>(table);
  enter<DepthwiseConv2dBackwardWeightArgs, backward_weight>(table);
  enter_workspace<DepthwiseConv2dBackwardWeightArgs, backward_weight_workspace>(table);
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(depthwise_backward)
#endif
