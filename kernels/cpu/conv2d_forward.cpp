// Convolution, forward: y = act(conv(x, weight) + bias + residual). The work is in conv_engine-inl.h; here the weight
// [K,R,S,C/groups] is packed into panels of output channels, [group][panel][R·S·C/groups][kPanel]: a transpose, read
// and written once a call (ResNet-50: 94 MB, some 3 % of a batch of 16). compile packs once.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/conv2d_forward.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/conv_engine-inl.h"
#include "kernels/cpu/workspace.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

ConvProblem problem_of(const Conv2dArgs& a) {
  const Shape &x = a.x.shape, &y = a.y.shape, &w = a.weight.shape;
  return {.x = a.x.as<const float>(),
          .images = x[0],
          .h = x[1],
          .w = x[2],
          .channels = x[3],
          .oh = y[1],
          .ow = y[2],
          .taps_h = w[1],
          .taps_w = w[2],
          .stride_h = a.conv.stride.h,
          .stride_w = a.conv.stride.w,
          .dilation_h = a.conv.dilation.h,
          .dilation_w = a.conv.dilation.w,
          .pad_top = a.conv.pad.top,
          .pad_left = a.conv.pad.left,
          .groups = a.conv.groups,
          .cin = w[3],
          .cout = w[0] / a.conv.groups,
          .packed = nullptr,
          .y = a.y.as<float>(),
          .y_image = y[1] * y[2] * y[3],
          .y_row = y[2] * y[3],
          .y_pixel = y[3],
          .bias = a.bias.as<const float>(),
          .residual = a.residual.as<const float>(),
          .activation = a.activation};
}

void pack(ThreadPool& pool, const ConvProblem& p, const float* weight, float* packed) {
  const int64_t panels = p.panels(), k = p.k();
  pool.parallel_for(p.groups * panels, [&](int64_t task, int) HWY_ATTR {
    const int64_t first = task / panels * p.cout + task % panels * kPanel;
    const int64_t n = std::min<int64_t>(kPanel, p.cout - task % panels * kPanel);
    pack_panel_transposed(weight + first * k, k, k, n, packed + task * k * kPanel);
  });
}

const char* kernel_name(const ConvProblem& p) {
  switch (plan_convolution(p).path) {
    case ConvPath::pixels:
      return "cpu.conv2d.gemm_pixels." GRAFT_ISA;
    case ConvPath::rows:
      return "cpu.conv2d.gemm_rows." GRAFT_ISA;
    case ConvPath::gathered:
      return "cpu.conv2d.gemm_gathered." GRAFT_ISA;
  }
  return nullptr;
}

Status conv2d(CallContext& c, const Conv2dArgs& a) {
  ConvProblem p = problem_of(a);
  c.kernel = kernel_name(p);
  Workspace workspace(c.workspace);
  float* packed = workspace.take<float>(p.packed_floats());
  pack(pool_of(c), p, a.weight.as<const float>(), packed);
  p.packed = packed;
  run_convolution(pool_of(c), p, workspace.take<float>(0));
  return Status::ok;
}

int64_t conv2d_workspace(int threads, const Conv2dArgs& a) {
  const ConvProblem p = problem_of(a);
  Workspace workspace;
  workspace.take<float>(p.packed_floats());
  workspace.take<float>(convolution_scratch_floats(p, threads));
  return workspace.bytes();
}

// ---- compile: packed weights come from outside

int64_t packed_floats(const Conv2dArgs& a) { return problem_of(a).packed_floats(); }

int64_t packed_workspace(int threads, const Conv2dArgs& a) {
  return convolution_scratch_floats(problem_of(a), threads) * static_cast<int64_t>(sizeof(float));
}

// A file's row is [C/groups][R][S]; k here is (r, s, c).
void pack_rows(const Conv2dArgs& a, int64_t first, int64_t rows, const float* source, const float* scale,
               float* packed) {
  const ConvProblem p = problem_of(a);
  const int64_t k = p.k(), taps = p.taps_h * p.taps_w;
  for (int64_t row = first; row < first + rows; ++row, source += k) {
    const int64_t group = row / p.cout, column = row % p.cout;
    float* to = packed + (group * p.panels() + column / kPanel) * k * kPanel + column % kPanel;
    const float factor = scale != nullptr ? scale[row - first] : 1.f;
    for (int64_t tap = 0; tap < taps; ++tap)
      for (int64_t channel = 0; channel < p.cin; ++channel, to += kPanel) *to = factor * source[channel * taps + tap];
  }
}

Status conv2d_packed(CallContext& c, const Conv2dArgs& a, const float* packed) {
  ConvProblem p = problem_of(a);
  c.kernel = kernel_name(p);
  p.packed = packed;
  run_convolution(pool_of(c), p, static_cast<float*>(c.workspace));
  return Status::ok;
}

}  // namespace

static void enter_kernels(KernelTable& table) {
  enter<Conv2dArgs, conv2d>(table);
  enter_workspace<Conv2dArgs, conv2d_workspace>(table);
  table.packed_conv2d = {packed_floats, packed_workspace, pack_rows, conv2d_packed};
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(conv2d_forward)
#endif
