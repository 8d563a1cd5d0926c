// Matrix product of 16-bit matrices on tensor cores: y = act(op(a)·op(b) + bias), sums in f32 (mma_product.h).
//
// Of each operand the axis that lies together in memory may be the depth or the other one: it is brought to shared
// memory as it lies, so a transpose costs nothing. Where that axis is no multiple of 8, or the matrix does not begin on
// a 16-byte border, its elements are read one by one; the same bits, at a fraction of the speed.
//
// Memory traffic: mma_product.h. Registers: up to 216 a thread at 128 x 128, 98 at 64 x 64, shared memory 48 and 24
// KiB: two and five blocks of 128 threads a multiprocessor, sm_80 and sm_90.
#include "kernels/cuda/mma_launchers.h"
#include "kernels/cuda/mma_matrix.h"
#include "kernels/cuda/mma_product.h"

namespace graft::cuda {

template <bool kDepthMajor, typename T>
MmaMatrix<T, kDepthMajor> mma_matrix(const TensorView& view, int64_t extent, int64_t depth) {
  const auto* data = view.as<T>();
  const int64_t line = kDepthMajor ? depth : extent;
  return {data, extent, depth, line, 0, line % kChunk == 0 && all_aligned(data)};
}

GemmShape shape_of(const MatmulArgs& a) {
  return {
      .rows = a.y.shape[0], .columns = a.y.shape[1], .depth = a.a.shape[a.transpose_a ? 0 : 1], .results = a.y.numel()};
}

int64_t matmul_mma_workspace(const MatmulArgs& a, int tile) { return plan_of(shape_of(a), tile).workspace_bytes(); }
OwnTiles matmul_mma_tiles(const MatmulArgs& a) { return tiles_of(shape_of(a)); }

template <typename T>
Status matmul_mma(CallContext& call, const MatmulArgs& a, int tile) {
  const GemmShape s = shape_of(a);
  const MmaOutput<T> out{.y = a.y.data,
                         .f32 = a.y.dtype == DType::f32,
                         .bias = a.bias.as<float>(),
                         .residual = nullptr,
                         .activation = a.activation,
                         .stride = s.columns};
  const auto multiply = [&](const auto& left, const auto& right) {
    return mma_product<T>(call, "matmul_mma", MmaProblem{left, right, out}, s, tile);
  };
  const auto with_left = [&](const auto& left) {
    return a.transpose_b ? multiply(left, mma_matrix<true, T>(a.b, s.columns, s.depth))
                         : multiply(left, mma_matrix<false, T>(a.b, s.columns, s.depth));
  };
  return a.transpose_a ? with_left(mma_matrix<false, T>(a.a, s.rows, s.depth))
                       : with_left(mma_matrix<true, T>(a.a, s.rows, s.depth));
}
template Status matmul_mma<__nv_bfloat16>(CallContext&, const MatmulArgs&, int);
template Status matmul_mma<__half>(CallContext&, const MatmulArgs&, int);

}  // namespace graft::cuda
