#include "bench/compare.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace graft::bench {

namespace {

// `unit`: half a unit in the last place of 1, where sums are made; `stored`: the same of a 16-bit type, to which they
// are rounded once; `tiny`: the smallest normal number, below which zero is right too.
struct Precision {
  double unit, stored, tiny;
};
Precision precision_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return {0x1p-53, 0, 0x1p-1022};
    case DType::bf16:
      return {0x1p-24, 0x1p-8, 0x1p-126};
    case DType::f16:
      return {0x1p-24, 0x1p-11, 0x1p-14};
    default:
      return {0x1p-24, 0, 0x1p-126};
  }
}

bool is_whole(DType dtype) { return dtype == DType::i64 || dtype == DType::u8; }

}  // namespace

std::string compare(const char* name, const TensorView& view, const Bytes& got, const TensorView& truth,
                    const Bytes& truth_bytes, const Bound& bound, const Bytes& magnitude) {
  int64_t wrong = 0;
  std::string first;
  const Precision precision = precision_of(view.dtype);
  for (int64_t e = 0; e < view.numel(); ++e) {
    const double y = element(got, view.dtype, e);
    const double y64 = element(truth_bytes, truth.dtype, e);
    const double rounded = rounded_to(view.dtype, y64);
    double tolerance = 0;
    bool good;
    if (is_whole(view.dtype)) {
      const size_t size = size_of(view.dtype), at = static_cast<size_t>(e) * size;
      good = std::equal(&got[at], &got[at] + size, &truth_bytes[at]);
    } else if (!std::isfinite(rounded) || bound.factor == 0) {
      good = std::isnan(rounded) ? std::isnan(y) : y == rounded;
    } else {
      const double terms = magnitude.empty() ? 0 : element(magnitude, DType::f64, e);
      tolerance = bound.factor * precision.unit * (terms + std::abs(y64)) + precision.tiny;
      // The truth may have been rounded too: the copy that an optimiser makes of a parameter.
      const double roundings = size_of(truth.dtype) == 2 ? 2 : 1;
      if (precision.stored > 0) tolerance += roundings * precision.stored * (std::abs(y64) + tolerance);
      good = std::abs(y - y64) <= tolerance;
    }
    if (!good && wrong++ == 0)
      first = fmt::format("{}[{}] is {:.9g}, not {:.9g} (tolerance {:.2g})", name, e, y, y64, tolerance);
  }
  return wrong == 0 ? "" : fmt::format("{}; {} of {} are wrong; ", first, wrong, view.numel());
}

}  // namespace graft::bench
