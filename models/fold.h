// Weights on their way into a compiled piece: rows as the file has them, batch norms folded in.
#pragma once
#include <exception>
#include <vector>

#include "contract/backend.h"
#include "models/compile.h"

namespace graft::models {

// Lends itself to Backend::compile.fill. Vectors (scales and biases) are computed at once; weights pass through in
// chunks.
class FoldingSource {
 public:
  FoldingSource(const InferencePlan& plan, const ReadWeights& read);
  ConstantSource source();

  // What the reader threw while the backend was filling, if anything did: no exception crosses a backend.
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  struct Entry {
    const PlanConstant* constant = nullptr;
    int64_t rows = 0, row = 1;  // elements of a row
    std::vector<float> vector;  // a bias, folded
    std::vector<float> scale;   // a factor for each row; empty: 1
  };
  Status read_rows(int32_t buffer, int64_t first, int64_t rows, float* out);
  void fold_scale(Entry& entry, const ReadWeights& read) const;
  void fold_bias(Entry& entry, const ReadWeights& read) const;

  const ReadWeights& read_;
  std::vector<Entry> entries_;  // by buffer
  std::exception_ptr error_;
};

}  // namespace graft::models
