// How products of f32 are computed by cuDNN and cuBLASLt; 16-bit elements are multiplied as they are.
#pragma once
#include <cstdint>

namespace graft::cuda {

enum class F32Math : int32_t {
  strict,  // in f32
  tf32,    // the factors may be rounded to TF32, 11 significant bits, on their way into tensor cores; sums are f32
};

}  // namespace graft::cuda
