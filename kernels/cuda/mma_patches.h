// The patches of an image (conv_geometry.h) as an operand of a product on tensor cores (mma_tile.h).
//
// A patch's element is the sum of two shifts, a pixel's of the output and a tap's, which are looked up apart: what is
// left for each chunk is three additions and the question whether it lies in the image. Where the channels of a group
// are a multiple of 8 a chunk never straddles a tap.
#pragma once
#include "kernels/cuda/conv_geometry.h"
#include "kernels/cuda/mma_tile.h"

namespace graft::cuda {

// Rows are pixels and the depth is taps and channels, or, not kDepthMajor, the other way round.
template <typename T, bool kDepthMajorAxis>
struct MmaPatches {
  static constexpr bool kDepthMajor = kDepthMajorAxis;
  static constexpr int64_t kNowhere = -(int64_t{1} << 60);  // an offset that no other brings back into the image

  struct Shift {
    int64_t offset;
    int32_t h, w;
  };
  using Index = Shift;
  using Step = Shift;

  const T* data;
  Patches patches;
  int64_t extent, depth;
  int64_t batch_offset;  // from group to group
  bool vector;

  __device__ void enter_batch(int64_t group) { data += group * batch_offset; }
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
    const int64_t offset = i.offset + k.offset;
    const bool inside = offset >= 0 && is_below(i.h + k.h, patches.rows) && is_below(i.w + k.w, patches.columns);
    return inside ? data + offset : nullptr;
  }

 private:
  __device__ static bool is_below(int32_t i, const WindowAxis& axis) {
    return static_cast<uint32_t>(i) < static_cast<uint32_t>(axis.pixels);
  }
  __device__ Shift pixel(int64_t p, int64_t end) const {
    if (p >= end) return {kNowhere, 0, 0};
    const Patches::Pixel at = patches.pixel(p);
    return {at.first, at.h, at.w};
  }
  __device__ Shift tap(int64_t k, int64_t end) const {
    if (k >= end) return {kNowhere, 0, 0};
    const Patches::Tap at = patches.tap(static_cast<int32_t>(k));
    const int32_t h = at.h * patches.rows.step, w = at.w * patches.columns.step;
    return {h * patches.row_pitch + w * patches.pixel_pitch + at.channel, h, w};
  }
};

}  // namespace graft::cuda
