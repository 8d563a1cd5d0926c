// What the depthwise kernels share: how images are cut into strips of pixels, and which pixels a tap meets.
//
// A thread owns kN neighbouring channels and makes strips of a few rows by a few columns of pixels: each pixel of the
// input that it loads serves all the strip's outputs whose windows hold it. A block is `columns` such vectors of
// channels by `lanes` strips, and walks along a slab of strips row by row, so that the rows which two strips share are
// still in L1. All of this follows from shapes alone, and with it the order of every sum.
#pragma once
#include <numeric>

#include "kernels/cuda/columns.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/strip_memory.h"

namespace graft::cuda {

inline constexpr int kStripThreads = 128;  // of a block
inline constexpr int kMostColumns = 32;    // vectors of channels of a block
inline constexpr int kStripChannels =
    4;  // 16 bytes of f32, 8 of a 16-bit type: more channels, fewer pixels in registers

// One axis of a depthwise call: outputs that are made, inputs that are read. In a transposed call, a gradient by the
// input, output o meets tap t on input (o + pad − t·dilation) / stride where that is whole; else on o·stride − pad +
// t·dilation.
struct DepthwiseAxis {
  int32_t input = 0, output = 0, taps = 0, stride = 1, dilation = 1, pad = 0;
  bool transposed = false;
  int32_t tap_step = 1, input_step = 1;  // from one tap that an output meets to the next, and from its input
  int32_t strip = 1, shift = 0;          // outputs of a strip; strip s begins with output s·strip − shift

  int64_t strips() const { return ceil_div(int64_t{output} + shift, strip); }
};

// The taps that an output meets, first to last, those that lie on padding too.
struct TapWalk {
  int32_t tap, input;
  __device__ TapWalk(const DepthwiseAxis& a, int32_t o) : tap(0), input(o * a.stride - a.pad) {
    if (!a.transposed) return;
    int32_t reach = o + a.pad;
    while (tap < a.tap_step && reach % a.stride != 0) ++tap, reach -= a.dilation;
    input = reach / a.stride;
    if (tap == a.tap_step) tap = a.taps;  // this output is between all taps
  }
  __device__ bool more(const DepthwiseAxis& a) const { return tap < a.taps; }
  __device__ void next(const DepthwiseAxis& a) { tap += a.tap_step, input += a.input_step; }
};
__device__ inline bool inside(int32_t i, int32_t extent) {
  return static_cast<uint32_t>(i) < static_cast<uint32_t>(extent);
}

// How the strips of a tensor are given to blocks and threads.
struct StripTiling {
  int32_t strips_h = 0, strips_w = 0;             // of an image
  int32_t columns_log = 0, lanes = 0, tiles = 0;  // vectors of channels and strips of a block; blocks across channels
  int32_t step_n = 0, step_h = 0, step_w = 0;     // lanes strips further
  int64_t slabs = 0, slab_strips = 0;

  __host__ __device__ int64_t image_strips() const { return int64_t{strips_h} * strips_w; }

  // Cuts `strips` into slabs of whole steps of a block: for some waves of the largest card, if `copies` others are cut
  // so too, but not shorter than `least` steps nor more than `most`.
  void cut(int64_t strips, int64_t copies, int64_t least, int64_t most) {
    constexpr int64_t kBlocks = 2048;
    if (strips == 0 || copies * tiles == 0) return;
    const int64_t share = ceil_div(kBlocks, copies * tiles), wanted = share < most ? share : most;
    const int64_t steps = ceil_div(ceil_div(strips, lanes), wanted);
    slab_strips = (steps < least ? least : steps) * lanes;
    slabs = ceil_div(strips, slab_strips);
  }
};

// Of `vectors` of channels and `together` strips, which one block may hold.
inline StripTiling strip_tiling(const DepthwiseAxis& rows, const DepthwiseAxis& columns, int64_t vectors,
                                int64_t together) {
  StripTiling t;
  t.strips_h = static_cast<int32_t>(rows.strips()), t.strips_w = static_cast<int32_t>(columns.strips());
  const auto idle = [&](int64_t across) { return ceil_div(vectors, across) * across - vectors; };
  while (t.columns_log < 3 && 1 << t.columns_log < vectors) ++t.columns_log;
  if (t.columns_log == 3 && idle(16) <= idle(8)) ++t.columns_log;
  while (1 << t.columns_log < kMostColumns && 1 << t.columns_log < vectors && kStripThreads >> t.columns_log > together)
    ++t.columns_log;  // tiny images
  t.lanes = kStripThreads >> t.columns_log;
  t.tiles = static_cast<int32_t>(ceil_div(vectors, int64_t{1} << t.columns_log));
  if (const int64_t image = t.image_strips(); image > 0) {
    t.step_n = static_cast<int32_t>(t.lanes / image);
    t.step_h = static_cast<int32_t>(t.lanes % image / t.strips_w), t.step_w = t.lanes % t.strips_w;
  }
  return t;
}

// Strip (h, w) of image n, and how many more are left of the slab.
struct StripWalk {
  int64_t n;
  int32_t left, h, w;
  // From strip `in_image` of image n. (Launchers see to it that its number fits in 32 bits.)
  __device__ StripWalk(const StripTiling& t, int32_t count, int64_t image, int64_t in_image)
      : n(image),
        left(count),
        h(static_cast<int32_t>(static_cast<uint32_t>(in_image) / static_cast<uint32_t>(t.strips_w))),
        w(static_cast<int32_t>(static_cast<uint32_t>(in_image) % static_cast<uint32_t>(t.strips_w))) {}
  __device__ void next(const StripTiling& t) {
    left -= t.lanes, n += t.step_n, h += t.step_h, w += t.step_w;
    if (w >= t.strips_w) w -= t.strips_w, ++h;
    if (h >= t.strips_h) h -= t.strips_h, ++n;
  }
};

// Coordinates and numbers of strips are 32 bits wide. (Products of extents stay far from 2^63.)
inline constexpr int64_t kMostStrips = int64_t{1} << 30;
constexpr bool fits(int64_t input, int64_t output, int64_t taps, int64_t stride, int64_t dilation, int64_t pad) {
  return input + pad <= kMostStrips && taps * dilation <= kMostStrips && output * stride <= kMostStrips;
}
inline bool fits(const StripTiling& t, int64_t channels, int64_t blocks) {
  return t.image_strips() <= kMostStrips && t.slab_strips <= kMostStrips && channels <= kMostStrips &&
         blocks <= INT32_MAX;
}

inline DepthwiseAxis depthwise_axis(int64_t input, int64_t output, int64_t taps, int32_t stride, int32_t dilation,
                                    int32_t pad) {
  return {.input = static_cast<int32_t>(input),
          .output = static_cast<int32_t>(output),
          .taps = static_cast<int32_t>(taps),
          .stride = stride,
          .dilation = dilation,
          .pad = pad,
          .input_step = dilation};
}

// Blocks of a multiprocessor, by the pixels that a thread holds: 96 registers for few, 128, 168 for many.
constexpr int blocks_of(int pixels) { return pixels <= 14 ? 5 : pixels < 20 ? 4 : 3; }

// A strip's window when its sizes are known to the compiler: kRows × kColumns outputs of kTaps × kTaps taps, and the
// inputs they meet: whether output o meets a tap at all, and on which input, both counted from the strip's first.
template <int kTapsOf, int kStrideOf, int kRowsOf, int kColumnsOf>
struct ForwardWindow {
  static constexpr bool kTransposed = false;
  static constexpr int kTaps = kTapsOf, kStride = kStrideOf, kRows = kRowsOf, kColumns = kColumnsOf;
  static constexpr int kInputRows = (kRows - 1) * kStride + kTaps, kInputColumns = (kColumns - 1) * kStride + kTaps;
  static constexpr int kBlocks = blocks_of(kRows * kColumns + kInputColumns);
  __device__ static constexpr bool meets(int, int) { return true; }
  __device__ static constexpr int input_of(int o, int tap) { return o * kStride + tap; }
  __device__ static int first_input(const DepthwiseAxis& a, int32_t o) { return o * kStride - a.pad; }
};
// The gradient by the input, of a stride: the strip begins where output + pad is a multiple of it, so that each
// output's phase, and with it its taps, is known: none is wasted.
template <int kTapsOf, int kStrideOf, int kRowsOf, int kColumnsOf>
struct TransposedWindow {
  static constexpr bool kTransposed = true;
  static constexpr int kTaps = kTapsOf, kStride = kStrideOf, kRows = kRowsOf, kColumns = kColumnsOf;
  static constexpr int kBefore = (kTaps - 1) / kStride;  // inputs before that of the strip's first tap
  static constexpr int kInputRows = kBefore + (kRows - 1) / kStride + 1;
  static constexpr int kInputColumns = kBefore + (kColumns - 1) / kStride + 1;
  static constexpr int kBlocks = blocks_of(kRows * kColumns + kInputColumns);
  static_assert(kRows % kStride == 0 && kColumns % kStride == 0);
  __device__ static constexpr bool meets(int o, int tap) { return (o - tap) % kStride == 0; }
  __device__ static constexpr int input_of(int o, int tap) { return (o - tap) / kStride + kBefore; }
  __device__ static int first_input(const DepthwiseAxis& a, int32_t o) { return (o + a.pad) / kStride - kBefore; }
};

// Does any thread of the block say so?
__device__ inline bool any_of_block(bool mine) {
  constexpr int kWarps = kStripThreads / 32;
  GRAFT_SHARED(int, said, [kWarps]);
  const int warp = __any_sync(~0u, mine);
  if (threadIdx.x % 32 == 0) said[threadIdx.x / 32] = warp;
  __syncthreads();
  int any = 0;
  for (int i = 0; i < kWarps; ++i) any |= said[i];
  return any != 0;
}

// The sums of a block's channels over its lanes, lane 0 first, at to[0…count): all threads take part.
template <int kN>
__device__ inline void store_lane_sums(const Vector<float, kN>& mine, const StripTiling& t, float* to, int64_t count,
                                       bool aligned) {
  using Floats = Vector<float, kN>;
  GRAFT_SHARED(Floats, shared, [kStripThreads]);  // [lane][column]
  store_shared(shared + threadIdx.x, mine);
  __syncthreads();
  const int across = 1 << t.columns_log, column = static_cast<int>(threadIdx.x);
  if (column < across) {
    Floats sum = load_shared(shared + column);
    for (int lane = 1; lane < t.lanes; ++lane) {
      const Floats v = load_shared(shared + lane * across + column);
      for (int k = 0; k < kN; ++k) sum.at[k] += v.at[k];
    }
    if (column * kN < count) store_vector(to + column * kN, sum, aligned);
  }
  __syncthreads();  // the next call may write
}

}  // namespace graft::cuda
