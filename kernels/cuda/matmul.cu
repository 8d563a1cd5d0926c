// Matrix product y = act(op(a)·op(b) + bias), op(a) [M,K], op(b) [K,N], in f32; and the sum of the slabs into which
// this and other products are cut.
//
// Memory traffic: a block of a side · side tile of y reads side rows of op(a) and side columns of op(b), so a is read
// ⌈N/side⌉ times, b ⌈M/side⌉ times, from L2 but for the first; y is written once, and in S > 1 slabs S·M·N partial sums
// are written and read. gemm_tile.h says what bounds it, gemm.h how it is cut: 128² results a block where there are
// many; few rows or classes (the head of transfer learning: 64 images, K = 2048, N = 2) are 32² tiles, the sum in slabs
// of 128, so that 32 blocks share what two would do. 16-byte loads where the contiguous axes of a and b are multiples
// of four.
#include "kernels/cuda/gemm_tile.h"
#include "kernels/cuda/mma_launchers.h"
#include "kernels/cuda/ways.h"

namespace graft::cuda {

// ---- slabs

struct SlabPlanes {
  const float* partial;
  int64_t slabs, plane;
  FastDivisor<int64_t> by_columns;
};

template <typename T, int kN>
__global__ __launch_bounds__(kGemmThreads) void add_slabs_kernel(SlabPlanes a, Epilogue<T> out) {
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * kGemmThreads + threadIdx.x) * kN;
  if (at >= a.plane) return;
  Vector<float, kN> sum = {};
#pragma unroll 4
  for (int64_t slab = 0; slab < a.slabs; ++slab) {
    const Vector<float, kN> part = load_vector<kN>(a.partial + slab * a.plane + at, true);
    for (int n = 0; n < kN; ++n) sum.at[n] += part.at[n];
  }
  int64_t column = at;
  a.by_columns.divide(column);
  finish<kN>(out, at, column, sum);
}

template <typename T>
Status add_slabs(CallContext& call, const GemmCut& cut, int64_t columns, const Epilogue<T>& out) {
  const SlabPlanes planes{static_cast<const float*>(call.workspace), cut.slabs, cut.plane,
                          FastDivisor<int64_t>(columns)};
  const int width = out.vectors ? 4 : 1;
  const LaunchConfig config{"add_slabs", dim3(static_cast<unsigned>(ceil_div(cut.plane, kGemmThreads * width))),
                            dim3(kGemmThreads)};
  return out.vectors ? launch(call, config, add_slabs_kernel<T, 4>, planes, out)
                     : launch(call, config, add_slabs_kernel<T, 1>, planes, out);
}
template Status add_slabs(CallContext&, const GemmCut&, int64_t, const Epilogue<float>&);

// ---- the product

struct MatmulTiles {
  MatrixOperand a, b;
  GemmShape shape;
  GemmCut cut;
  Epilogue<float> out;
};

template <typename Tile, int kN>
__global__ __launch_bounds__(kGemmThreads, kGemmBlocks) void matmul_kernel(MatmulTiles m) {
  const GemmBlock block = gemm_block(m.cut, m.shape.depth);
  const auto results = multiply<Tile, kN>(m.a, m.b, m.shape, block);
  store_results(results, m.cut, m.shape, block, m.out, [&](int64_t i) { return i * m.shape.columns; });
}

GemmPlan gemm_plan(const MatmulArgs& m, int tile) {
  return {.shape = {.rows = m.y.shape[0],
                    .columns = m.y.shape[1],
                    .depth = m.a.shape[m.transpose_a ? 0 : 1],
                    .results = m.y.numel()},
          .wide = m.a.shape[1] % 4 == 0 && m.b.shape[1] % 4 == 0,
          .tile = tile};
}

int64_t matmul_workspace(const MatmulArgs& m, int tile) {
  if (m.a.dtype != DType::f32) return matmul_mma_workspace(m, tile);
  return gemm_plan(m, tile).cut.workspace_bytes();
}

Status matmul(CallContext& call, const MatmulArgs& m, int tile) {
  const GemmPlan plan = gemm_plan(m, tile);
  const auto *a = m.a.as<const float>(), *b = m.b.as<const float>(), *bias = m.bias.as<const float>();
  const int64_t a_row = m.a.shape[1], b_row = m.b.shape[1];
  const bool ta = m.transpose_a != 0, tb = m.transpose_b != 0;
  const Epilogue<float> out{.y = m.y.as<float>(),
                            .bias = bias,
                            .activation = m.activation,
                            .vectors = plan.shape.columns % 4 == 0,
                            .aligned = all_aligned(m.y.as<float>(), bias)};
  MatmulTiles tiles{.a = {a, ta ? 1 : a_row, ta ? a_row : 1, !ta, all_aligned(a)},
                    .b = {b, tb ? b_row : 1, tb ? 1 : b_row, tb, all_aligned(b)},
                    .shape = plan.shape,
                    .cut = plan.cut,
                    .out = out};
  return launch_gemm(call, "matmul", plan.shape.columns, tiles, [&](const LaunchConfig& config) {
    return for_tile(plan.cut.side, plan.wide,
                    [&]<typename Tile, int kN>() { return launch(call, config, matmul_kernel<Tile, kN>, tiles); });
  });
}

OwnTiles own_tiles(const MatmulArgs& m) {
  if (m.a.dtype != DType::f32) return matmul_mma_tiles(m);
  const GemmPlan plan = gemm_plan(m, 0);
  return tiles_of(plan.cut, plan.wide);
}

void enter_matmul(KernelTable& table) {
  enter<MatmulArgs, by_way<MatmulArgs, matmul>, by_way<MatmulArgs, matmul_mma<__nv_bfloat16>>,
        by_way<MatmulArgs, matmul_mma<__half>>>(table);
  enter_workspace<MatmulArgs, by_way_workspace<MatmulArgs, matmul_workspace>>(table);
}

}  // namespace graft::cuda
