// Convolution, gradient by the input: dx = convᵀ(dy, weight), as forward convolutions over dy, one for each phase
// (conv_phases.h).
//
// Traffic and limits: conv_engine-inl.h. Packing is a copy of rows of C/groups floats: k is (tap, output channel).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/conv2d_backward_data.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/conv_engine-inl.h"
#include "kernels/cpu/conv_phases.h"
#include "kernels/cpu/workspace.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

struct Phase {
  ConvProblem problem;
  PhaseAxis rows, columns;
};

template <typename F>
void for_problems(const Conv2dBackwardDataArgs& a, F&& f) {
  const Shape &dx = a.dx.shape, &dy = a.dy.shape, &w = a.weight.shape;
  for_phases(dx, w[1], w[2], a.conv, [&](const PhasePlace& phase) {
    f(Phase{{.x = a.dy.as<const float>(),
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
             .groups = a.conv.groups,
             .cin = w[0] / a.conv.groups,
             .cout = w[3],
             .packed = nullptr,
             .y = a.dx.data != nullptr ? a.dx.as<float>() + phase.y_offset : nullptr,
             .y_image = dx[1] * dx[2] * dx[3],
             .y_row = a.conv.stride.h * dx[2] * dx[3],
             .y_pixel = a.conv.stride.w * dx[3]},
            phase.rows,
            phase.columns});
  });
}

// packed[group][panel][tap row, tap column, output channel][kPanel]
void pack(ThreadPool& pool, const Phase& phase, const Shape& w, const float* weight, float* packed) {
  const ConvProblem& p = phase.problem;
  const int64_t panels = p.panels(), filter = w[1] * w[2] * w[3];
  pool.parallel_for(p.groups * panels, [&](int64_t task, int) HWY_ATTR {
    const int64_t group = task / panels, channel = task % panels * kPanel;
    float* to = packed + task * p.k() * kPanel;
    for (int64_t i = 0; i < p.taps_h; ++i)
      for (int64_t j = 0; j < p.taps_w; ++j, to += p.cin * kPanel) {
        const int64_t r = phase.rows.first_tap + (p.taps_h - 1 - i) * phase.rows.step;
        const int64_t s = phase.columns.first_tap + (p.taps_w - 1 - j) * phase.columns.step;
        pack_panel(weight + group * p.cin * filter + (r * w[2] + s) * w[3] + channel, filter, p.cin,
                   std::min<int64_t>(kPanel, p.cout - channel), to);
      }
  });
}

Status conv2d_backward_data(CallContext& c, const Conv2dBackwardDataArgs& a) {
  c.kernel = a.conv.stride.h == 1 && a.conv.stride.w == 1 ? "cpu.conv2d_backward_data.gemm." GRAFT_ISA
                                                          : "cpu.conv2d_backward_data.gemm_phases." GRAFT_ISA;
  for_problems(a, [&](Phase phase) HWY_ATTR {  // one after the other, in the same workspace
    Workspace workspace(c.workspace);
    float* packed = workspace.take<float>(phase.problem.packed_floats());
    pack(pool_of(c), phase, a.weight.shape, a.weight.as<const float>(), packed);
    phase.problem.packed = packed;
    run_convolution(pool_of(c), phase.problem, workspace.take<float>(0));
  });
  return Status::ok;
}

int64_t conv2d_backward_data_workspace(int threads, const Conv2dBackwardDataArgs& a) {
  int64_t bytes = 0;
  for_problems(a, [&](const Phase& phase) {
    Workspace workspace;
    workspace.take<float>(phase.problem.packed_floats());
    workspace.take<float>(convolution_scratch_floats(phase.problem, threads));
    bytes = std::max(bytes, workspace.bytes());
  });
  return bytes;
}

}  // namespace

static void enter_kernels(KernelTable& table) {
  enter<Conv2dBackwardDataArgs, conv2d_backward_data>(table);
  enter_workspace<Conv2dBackwardDataArgs, conv2d_backward_data_workspace>(table);
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(conv2d_backward_data)
#endif
