// Matrix product: y = act(op(a)·op(b) + bias), as a 1x1 convolution over M pixels of K channels (conv_engine-inl.h).
// b is packed into panels first, read and written once; a transposed a is turned around first. Fully connected layers
// of a small batch are bound by reading b.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/matmul.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/conv_engine-inl.h"
#include "kernels/cpu/workspace.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

ConvProblem problem_of(const MatmulArgs& a) {
  const int64_t m = a.y.shape[0], n = a.y.shape[1], k = a.a.shape[a.transpose_a ? 0 : 1];
  return {.x = a.a.as<const float>(),
          .images = 1,
          .h = 1,
          .w = m,
          .channels = k,
          .oh = 1,
          .ow = m,
          .taps_h = 1,
          .taps_w = 1,
          .stride_h = 1,
          .stride_w = 1,
          .dilation_h = 1,
          .dilation_w = 1,
          .pad_top = 0,
          .pad_left = 0,
          .groups = 1,
          .cin = k,
          .cout = n,
          .packed = nullptr,
          .y = a.y.as<float>(),
          .y_image = m * n,
          .y_row = m * n,
          .y_pixel = n,
          .bias = a.bias.as<const float>(),
          .residual = nullptr,
          .activation = a.activation};
}

void pack_b(ThreadPool& pool, const ConvProblem& p, const float* b, bool transposed, float* packed) {
  const int64_t k = p.cin;
  pool.parallel_for(p.panels(), [&](int64_t panel, int) HWY_ATTR {
    const int64_t first = panel * kPanel, n = std::min<int64_t>(kPanel, p.cout - first);
    if (transposed)
      pack_panel_transposed(b + first * k, k, k, n, packed + first * k);
    else
      pack_panel(b + first, p.cout, k, n, packed + first * k);
  });
}

const float* turned_a(ThreadPool& pool, const MatmulArgs& a, int64_t m, int64_t k, float* to) {
  if (!a.transpose_a) return a.a.as<const float>();
  const float* source = a.a.as<const float>();
  constexpr int64_t kRows = 64;
  pool.parallel_for(ceil_div(m, kRows), [&](int64_t tile, int) HWY_ATTR {
    const int64_t first = tile * kRows;
    transpose(source + first, m, k, std::min(kRows, m - first), to + first * k, k);
  });
  return to;
}

Status matmul(CallContext& c, const MatmulArgs& a) {
  c.kernel = "cpu.matmul.gemm." GRAFT_ISA;
  ConvProblem p = problem_of(a);
  if (p.w == 0 || p.cout == 0) return Status::ok;
  Workspace workspace(c.workspace);
  float* packed = workspace.take<float>(p.packed_floats());
  p.x = turned_a(pool_of(c), a, p.w, p.cin, workspace.take<float>(a.transpose_a ? p.w * p.cin : 0));
  pack_b(pool_of(c), p, a.b.as<const float>(), a.transpose_b != 0, packed);
  p.packed = packed;
  run_convolution(pool_of(c), p, nullptr);
  return Status::ok;
}

int64_t matmul_workspace(int, const MatmulArgs& a) {
  const ConvProblem p = problem_of(a);
  Workspace workspace;
  workspace.take<float>(p.packed_floats());
  workspace.take<float>(a.transpose_a ? p.w * p.cin : 0);
  return workspace.bytes();
}

// ---- compile: b is [N,K], a row an output

int64_t packed_floats(const MatmulArgs& a) { return problem_of(a).packed_floats(); }

int64_t packed_workspace(int, const MatmulArgs& a) {
  return a.transpose_a ? align_up(a.a.numel() * static_cast<int64_t>(sizeof(float))) : 0;
}

void pack_rows(const MatmulArgs& a, int64_t first, int64_t rows, const float* source, const float* scale,
               float* packed) {
  const int64_t k = problem_of(a).cin;
  for (int64_t row = first; row < first + rows; ++row, source += k) {
    float* to = packed + row / kPanel * k * kPanel + row % kPanel;
    const float factor = scale != nullptr ? scale[row - first] : 1.f;
    for (int64_t i = 0; i < k; ++i) to[i * kPanel] = factor * source[i];
  }
}

Status matmul_packed(CallContext& c, const MatmulArgs& a, const float* packed) {
  c.kernel = "cpu.matmul.gemm_packed." GRAFT_ISA;
  ConvProblem p = problem_of(a);
  if (p.w == 0 || p.cout == 0) return Status::ok;
  p.x = turned_a(pool_of(c), a, p.w, p.cin, static_cast<float*>(c.workspace));
  p.packed = packed;
  run_convolution(pool_of(c), p, nullptr);
  return Status::ok;
}

}  // namespace

static void enter_kernels(KernelTable& table) {
  enter<MatmulArgs, matmul>(table);
  enter_workspace<MatmulArgs, matmul_workspace>(table);
  table.packed_matmul = {packed_floats, packed_workspace, pack_rows, matmul_packed};
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(matmul)
#endif
