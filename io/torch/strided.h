// Elements of a strided view in row-major order of its shape, read from a storage that can be asked for ranges.
#pragma once
#include <cstdint>
#include <functional>

#include "io/torch/pickle_value.h"

namespace graft::io::torch {

// Fills `out` with elements [first, first + count) of the storage.
using FetchRange = std::function<void(int64_t first, int64_t count, float* out)>;

// Elements [first, first + count) of the view. A dense view is one range; of another, blocks whose elements lie close
// together in the storage are fetched at once (at most kMaxSpread times what they need) and picked apart.
void read_strided(const TensorRef& view, int64_t first, int64_t count, const FetchRange& fetch, float* out);

inline constexpr int64_t kMaxSpread = 4;

}  // namespace graft::io::torch
