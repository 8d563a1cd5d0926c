// What every reader of weights gives, whatever the format: named tensors whose elements can be read in ranges.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "contract/dtype.h"

namespace graft::io {

struct TensorEntry {
  std::string name;  // as in the file, without a `module.` prefix
  DType dtype = DType::none;
  std::vector<int64_t> shape;  // axes as in the file: PyTorch's order, OIHW and [out, in]

  int64_t numel() const {
    int64_t product = 1;
    for (int64_t extent : shape) product *= extent;
    return product;  // readers refuse a file where this overflows
  }
};

// Reading is const and may be done from several threads at once.
class WeightsReader {
 public:
  virtual ~WeightsReader() = default;

  virtual const std::vector<TensorEntry>& tensors() const = 0;

  // Elements [first, first + count) of tensor `index` in row-major order of its shape, converted to f32. Throws Error
  // when the file has changed, is cut short, or (where sums are stored) is damaged.
  virtual void read(size_t index, int64_t first, int64_t count, float* out) const = 0;
};

}  // namespace graft::io
