// What an activation let pass, as bits: eight neighbouring channels share a byte where 8 divides C, else each element
// has one (mask_shape in contract/primitives.h). A thread holds kN of them: 1, 4 or 8.
#pragma once
#include "kernels/cuda/memory.h"

namespace graft::cuda {

// `at` is the thread's first element. Two threads of four channels share a byte: they are neighbours in a warp, since a
// row of threads begins at an even lane, and in one row, since 8 divides C.
template <int kN>
__device__ inline void store_mask(uint8_t* mask, int64_t at, unsigned passed, int64_t channels, bool aligned) {
  if (kN == 8 || kN == 1) {
    store(mask + at / kN, static_cast<uint8_t>(passed));
  } else if (channels % 8 == 0) {
    const unsigned lane = (threadIdx.y * blockDim.x + threadIdx.x) % 32;
    const unsigned other = __shfl_xor_sync(3u << (lane & ~1u), passed, 1);
    if (at / kN % 2 == 0) store(mask + at / 8, static_cast<uint8_t>(passed | other << 4));
  } else {
    Vector<uint8_t, kN> bytes;
    for (int k = 0; k < kN; ++k) bytes.at[k] = static_cast<uint8_t>(passed >> k & 1);
    store_vector(mask + at, bytes, aligned);
  }
}

template <int kN>
__device__ inline unsigned load_mask(const uint8_t* mask, int64_t at, int64_t channels, bool aligned) {
  if (kN == 8 || kN == 1) return load(mask + at / kN);
  if (channels % 8 == 0) return load(mask + at / 8) >> (at % 8);
  const Vector<uint8_t, kN> bytes = load_vector<kN>(mask + at, aligned);
  unsigned passed = 0;
  for (int k = 0; k < kN; ++k) passed |= (bytes.at[k] & 1u) << k;
  return passed;
}

}  // namespace graft::cuda
