#include "kernels/cuda/matrix_product.h"

namespace graft::cuda {

namespace {

// A dense row-major matrix [R,C] is a column-major one of C rows and R columns.
ProductMatrix as_column_major(const MatmulArgs& m, const TensorView& view) {
  return {.view = static_cast<int32_t>(&view - views_of(static_cast<const void*>(&m))),
          .type = view.dtype,
          .rows = view.shape[1],
          .columns = view.shape[0],
          .leading = view.shape[1]};
}

bool has_epilogue(const MatmulArgs& m) {
  const bool activates = m.activation == Activation::none || m.activation == Activation::relu;
  return activates && (!m.bias.present() || m.bias.dtype == m.y.dtype);
}

bool is_multiplied(DType type) { return type == DType::f32 || type == DType::bf16 || type == DType::f16; }

}  // namespace

std::optional<MatrixProduct> product_of(const MatmulArgs& m, F32Math math) {
  if (!is_multiplied(m.a.dtype) || m.a.numel() == 0 || m.b.numel() == 0 || !has_epilogue(m)) return std::nullopt;
  MatrixProduct p;
  p.a = as_column_major(m, m.b), p.b = as_column_major(m, m.a), p.d = as_column_major(m, m.y);
  p.transpose_a = m.transpose_b != 0, p.transpose_b = m.transpose_a != 0;
  if (m.bias.present()) p.bias = {.view = 2, .type = m.bias.dtype};
  p.relu = m.activation == Activation::relu;
  p.rounds_to_tf32 = m.a.dtype == DType::f32 && math == F32Math::tf32;
  return p;
}

}  // namespace graft::cuda
