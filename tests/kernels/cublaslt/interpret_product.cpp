#include "tests/kernels/cublaslt/interpret_product.h"

#include <cmath>

#include "core/error.h"

namespace graft::test {
namespace {

using cuda::MatrixProduct;
using cuda::ProductMatrix;

std::vector<double>& memory_of(ProductMemory& memory, int32_t view) {
  if (!memory.contains(view)) fail("no one has given memory for view {}", view);
  return memory.at(view);
}

class Operand {
 public:
  Operand(const ProductMatrix& matrix, bool transposed, std::vector<double>& memory)
      : matrix_(matrix), transposed_(transposed), memory_(memory) {
    if (matrix.leading < matrix.rows) fail("the columns of view {} overlap", matrix.view);
  }

  int64_t rows() const { return transposed_ ? matrix_.columns : matrix_.rows; }
  int64_t columns() const { return transposed_ ? matrix_.rows : matrix_.columns; }
  double& operator()(int64_t row, int64_t column) const {
    if (transposed_) std::swap(row, column);
    if (row < 0 || row >= matrix_.rows || column < 0 || column >= matrix_.columns)
      fail("an element outside of view {}", matrix_.view);
    return memory_.at(static_cast<size_t>(row + column * matrix_.leading));
  }

 private:
  const ProductMatrix& matrix_;
  bool transposed_;
  std::vector<double>& memory_;
};

}  // namespace

void interpret(const MatrixProduct& p, ProductMemory& memory) {
  // As large as its columns need it; what is never written stays NaN.
  memory[p.d.view].assign(static_cast<size_t>((p.d.columns - 1) * p.d.leading + p.d.rows), std::nan(""));
  const Operand a(p.a, p.transpose_a, memory_of(memory, p.a.view)), b(p.b, p.transpose_b, memory_of(memory, p.b.view)),
      d(p.d, false, memory_of(memory, p.d.view));
  if (a.columns() != b.rows() || d.rows() != a.rows() || d.columns() != b.columns())
    fail("[{}, {}] times [{}, {}] is no [{}, {}]", a.rows(), a.columns(), b.rows(), b.columns(), d.rows(), d.columns());
  for (int64_t i = 0; i < d.rows(); ++i)
    for (int64_t j = 0; j < d.columns(); ++j) {
      double sum = 0;
      for (int64_t k = 0; k < a.columns(); ++k) sum += a(i, k) * b(k, j);
      sum *= double{p.alpha};
      if (p.beta != 0) sum += double{p.beta} * d(i, j);
      if (p.bias.present()) sum += memory_of(memory, p.bias.view).at(static_cast<size_t>(i));
      d(i, j) = p.relu && sum < 0 ? 0 : sum;
    }
}

}  // namespace graft::test
