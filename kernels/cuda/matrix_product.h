// What is handed to cuBLASLt for a matrix product, as plain data: D = epilogue(op(A) · op(B) + bias).
//
// cuBLASLt's matrices are column-major. The memory of a row-major y [M,N], read so, is yᵀ [N,M] with N numbers from one
// column to the next, and yᵀ = op(b)ᵀ · op(a)ᵀ: D is y, A is b and B is a, each as it lies in memory, and each
// transposed where the call says so. cuBLASLt has row-major matrices too, but then no epilogue: its bias has one number
// for each row of D, which for D = yᵀ is the bias [N] of the call.
//
// cublaslt_descriptors.h turns this data into cuBLASLt's descriptors; tests execute it in f64 and read it back from
// the descriptors.
#pragma once
#include <compare>
#include <cstdint>
#include <optional>

#include "contract/primitives.h"
#include "kernels/cuda/f32_math.h"

namespace graft::cuda {

// Element (i, j) lies at i + j · leading.
struct ProductMatrix {
  int32_t view = -1;  // whose memory it is: its place among the views of the arguments
  DType type = DType::none;
  int64_t rows = 0, columns = 0, leading = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr)
  auto operator<=>(const ProductMatrix&) const = default;
};

// One number for each row of D. view < 0: there is none.
struct ProductBias {
  int32_t view = -1;
  DType type = DType::none;
  // NOLINTNEXTLINE(modernize-use-nullptr)
  auto operator<=>(const ProductBias&) const = default;

  bool present() const { return view >= 0; }
};

struct MatrixProduct {
  ProductMatrix a, b, d;
  bool transpose_a = false, transpose_b = false;
  ProductBias bias;
  bool relu = false;  // NaN stays NaN, says the contract; cuBLASLt's max(x, 0) does not say: rows of the op table ask
  float alpha = 1, beta = 0;           // D = epilogue(alpha · op(A) · op(B) + beta · D): D is never read
  DType accumulates_in = DType::f32;   // sums and epilogue, rounded once to D's type
  bool rounds_to_tf32 = false;         // A and B, of f32 alone
  int32_t alignment = 16;              // every matrix and the bias begin on a multiple of it, in bytes
  int64_t workspace_limit = 32 << 20;  // what cuBLAS takes for itself on Hopper
  // NOLINTNEXTLINE(modernize-use-nullptr)
  auto operator<=>(const MatrixProduct&) const = default;
};

// Of arguments that check_args has passed. Nothing where the kernels of matmul.cu and matmul_mma.cu serve:
//  - an activation other than relu, and a bias of another type than y (f32 beside 16 bits): no epilogue of cuBLASLt
//    computes them. A second pass over y would, at the price of y written and read once more; our kernels need none.
//  - empty matrices: y is empty, or act(bias).
//  - elements that are no f32, bf16 or f16.
std::optional<MatrixProduct> product_of(const MatmulArgs&, F32Math);

}  // namespace graft::cuda
