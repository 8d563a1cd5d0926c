// The patches of an image (conv_geometry.h) as an operand of a product on tensor cores (mma_tile.h).
//
// A patch's element is the sum of two shifts, a pixel's of the output and a tap's, which are looked up apart: what is
// left for each chunk is three additions and the question whether it lies in the image. Where the channels of a group
// are a multiple of 8 a chunk never straddles a tap.
#pragma once
#include "kernels/cuda/conv_geometry.h"
#include "kernels/cuda/mma_tile.h"

namespace graft::cuda {

// Rows and columns of a padded image are counted in 31 bits: registers are what a thread has least of.
inline bool is_countable(const Shape& image, const Conv2dParams& p) {
  constexpr int64_t kMost = 1 << 28;
  return image[1] + p.pad.top + p.pad.bottom < kMost && image[2] + p.pad.left + p.pad.right < kMost;
}

// Rows are pixels and the depth is taps and channels, or, not kDepthMajor, the other way round.
template <typename T, bool kDepthMajorAxis>
struct MmaPatches {
  static constexpr bool kDepthMajor = kDepthMajorAxis;
  static constexpr int kOutside = -(1 << 30);  // a row that no tap brings back into the image

  struct Shift {
    int64_t offset;
    int h, w;
  };
  using Index = Shift;
  using Step = Shift;

  const T* data;
  Patches patches;
  int64_t extent, depth;
  bool vector;

  __device__ void enter_batch(int64_t group) { data += group * patches.channels; }
  __device__ Index index(int64_t i) const {
    if constexpr (kDepthMajor)
      return pixel(i, extent);
    else
      return tap(i, extent);
  }
  __device__ Step step(int64_t k) const {
    if constexpr (kDepthMajor)
      return tap(k, depth);
    else
      return pixel(k, depth);
  }
  __device__ const T* at(const Index& i, const Step& k) const {
    const bool inside = is_below(i.h + k.h, patches.rows.pixels) && is_below(i.w + k.w, patches.columns.pixels);
    return inside ? data + i.offset + k.offset : nullptr;
  }

 private:
  __device__ static bool is_below(int i, int64_t extent) {
    return static_cast<unsigned>(i) < static_cast<unsigned>(extent);
  }
  __device__ Shift pixel(int64_t p, int64_t end) const {
    if (p >= end) return {0, kOutside, 0};
    const Patches::Pixel at = patches.pixel(p);
    return {at.image + at.h * patches.row_pitch + at.w * patches.pixel_pitch, static_cast<int>(at.h),
            static_cast<int>(at.w)};
  }
  __device__ Shift tap(int64_t k, int64_t end) const {
    if (k >= end) return {0, kOutside, 0};
    const Patches::Tap at = patches.tap(k);
    const int64_t h = at.h * patches.rows.step, w = at.w * patches.columns.step;
    return {h * patches.row_pitch + w * patches.pixel_pitch + at.channel, static_cast<int>(h), static_cast<int>(w)};
  }
};

}  // namespace graft::cuda
