// Matrix product of 16-bit matrices on tensor cores: y = act(op(a)·op(b) + bias), sums in f32 (mma_product.h).
//
// Of each operand the axis that lies together in memory may be the depth or the other one: it is brought to shared
// memory as it lies, so a transpose costs nothing. Where that axis is no multiple of 8, or the matrix does not begin on
// a 16-byte border, its elements are read one by one; the same bits, at a fraction of the speed.
//
// ptxas, sm_80 and sm_90, no spill: see resources.txt.
#include "kernels/cuda/mma_launchers.h"
#include "kernels/cuda/mma_product.h"

namespace graft::cuda {

// op(a), or op(b) transposed: [extent, depth].
template <typename T, bool kDepthMajorAxis>
struct MmaMatrix {
  static constexpr bool kDepthMajor = kDepthMajorAxis;
  using Index = int64_t;  // offset of a row or column; negative: outside
  using Step = int64_t;

  const T* data;
  int64_t extent, depth;
  bool vector;

  __device__ void enter_group(int64_t) {}
  __device__ Index index(int64_t i) const { return i < extent ? i * (kDepthMajor ? depth : 1) : -1; }
  __device__ Step step(int64_t k) const { return k < depth ? k * (kDepthMajor ? 1 : extent) : -1; }
  __device__ const T* at(Index i, Step k) const { return (i | k) >= 0 ? data + i + k : nullptr; }
};

template <bool kDepthMajor, typename T>
MmaMatrix<T, kDepthMajor> mma_matrix(const TensorView& view, int64_t extent, int64_t depth) {
  const auto* data = view.as<T>();
  return {data, extent, depth, (kDepthMajor ? depth : extent) % kChunk == 0 && all_aligned(data)};
}

MmaShape shape_of(const MatmulArgs& a) {
  return {.rows = a.y.shape[0], .columns = a.y.shape[1], .depth = a.a.shape[a.transpose_a ? 0 : 1]};
}

int64_t matmul_mma_workspace(const MatmulArgs& a) { return mma_workspace(shape_of(a)); }

template <typename T>
Status matmul_mma(CallContext& call, const MatmulArgs& a) {
  const MmaShape s = shape_of(a);
  const MmaOutput<T> out{.y = a.y.data,
                         .f32 = a.y.dtype == DType::f32,
                         .bias = a.bias.as<float>(),
                         .residual = nullptr,
                         .activation = a.activation,
                         .rows = s.rows,
                         .columns = s.columns,
                         .stride = s.columns,
                         .y_group = s.columns};
  const auto multiply = [&](const auto& left) {
    return a.transpose_b ? mma_product(call, "matmul_mma", left, mma_matrix<true, T>(a.b, s.columns, s.depth), out, s)
                         : mma_product(call, "matmul_mma", left, mma_matrix<false, T>(a.b, s.columns, s.depth), out, s);
  };
  return a.transpose_a ? multiply(mma_matrix<false, T>(a.a, s.rows, s.depth))
                       : multiply(mma_matrix<true, T>(a.a, s.rows, s.depth));
}
template Status matmul_mma<__nv_bfloat16>(CallContext&, const MatmulArgs&);
template Status matmul_mma<__half>(CallContext&, const MatmulArgs&);

}  // namespace graft::cuda
