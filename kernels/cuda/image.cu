// Photos to a batch: crop, antialiased resize, mirror and normalise, from bytes to what a network takes in one pass.
//
//   y[n,h,w,c] = (level / 255 − mean[c]) / std[c]    level = Σ_j v_j · clamp(Σ_k u_k · pixel[j,k,c])
//
// u and v are the filter's weights along a row and down a column, each of sum 1; which pixels they belong to is decided
// in whole numbers (contract/resize_box.h). Rows come first and are clamped to a byte's range, as Pillow's are; nothing
// is rounded in between.
//
// A thread makes one pixel, and so sums the rows that its window shares with those above and below again. Two passes
// with the sums of rows kept between them would make them once. When a photo shrinks by s along both axes that is, for
// each pixel of the result and with a filter of support r (bilinear 1, bicubic 2),
//   one pass    (2rs)²         multiply-adds a channel: 16 for s = 2, 64 for s = 4
//   two passes  2rs · s + 2rs                           12            40
// at most 2r times as many. But how many rows a tile of the result needs depends on numbers that only the device has,
// so what is kept between the passes has no bound that shared memory or a workspace could be sized by. And it would
// gain nothing: 500 x 375 pixels to 224 x 224 are 4 million byte loads, 0.6 µs of a GPU that takes 100 µs to train on
// them.
//
// A weight costs three operations (bicubic: six), less than to fetch it from a table in shared memory, and has no
// bound on its number either. Memory traffic: the crops once, 3 bytes a pixel, windows that overlap by L1 and L2; y
// once, four elements an access, through shared memory.
#include <cmath>

#include "contract/resize_box.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/memory.h"

namespace graft::cuda {

namespace {
constexpr int kThreads = 256, kChannels = 3, kN = 4;
using Elements = Vector<float, kN>;
}  // namespace

// The weights of one output pixel along one axis: of inputs first, first + 1, …, each `step` further from its centre.
struct Taps {
  int first, count;
  float start, step;

  __device__ Taps(const ResizeAxis& axis, int64_t o)
      : first(static_cast<int>(axis.first(o))), count(static_cast<int>(axis.end(o)) - first) {
    const auto unit = static_cast<float>(axis.unit());
    start = static_cast<float>(axis.distance(o, first)) / unit;
    step = static_cast<float>(2 * axis.out) / unit;
  }
  // 1 − |t|, or Keys 1981 with a = −½, which meets 0 smoothly where it ends: no t is beyond 2 but by rounding
  __device__ float weight(int k, bool is_cubic) const {
    const float t = fabsf(fmaf(static_cast<float>(k), step, start));
    if (!is_cubic) return fmaxf(1 - t, 0);
    if (t < 1) return fmaf(fmaf(1.5f, t, -2.5f) * t, t, 1);
    return fmaf(fmaf(fmaf(-0.5f, t, 2.5f), t, -4), t, 2);
  }
  __device__ float share(bool is_cubic) const {  // what a weight of 1 is of all
    float sum = 0;
    for (int k = 0; k < count; ++k) sum += weight(k, is_cubic);
    return 1 / sum;
  }
};

__device__ inline float clamped(float level) { return fminf(fmaxf(level, 0), 255); }

template <typename T>
struct ResizeKernelArgs {
  const uint8_t* pixels;
  const ResizeBox* boxes;
  T* y;
  int64_t bytes, count, height, width;     // count: pixels of y
  float slope[kChannels], at0[kChannels];  // y = slope · level + at0
  bool is_cubic, aligned;
};

// The three channels of pixel `p` of the batch.
template <typename T>
__device__ void resample(const ResizeKernelArgs<T>& a, int64_t p, float (&out)[kChannels]) {
  const int64_t row = p / a.width, column = p % a.width;
  const ResizeBox box = load(a.boxes + row / a.height);
  for (float& value : out) value = NAN;
  if (!box.fits(a.bytes, a.width, a.height)) return;

  const int support = a.is_cubic ? 2 : 1;
  const Taps across({box.crop_width, box.resized_width, support},
                    box.x + (box.mirrored != 0 ? a.width - 1 - column : column));
  const Taps down({box.crop_height, box.resized_height, support}, box.y + row % a.height);
  const uint8_t* from =
      a.pixels + box.begin + kChannels * ((box.top + down.first) * box.width + box.left + across.first);
  const float across_share = across.share(a.is_cubic);
  float level[kChannels] = {};
  for (int j = 0; j < down.count; ++j, from += kChannels * box.width) {
    float sum[kChannels] = {};
    for (int k = 0; k < across.count; ++k) {
      const float weight = across.weight(k, a.is_cubic);
      for (int c = 0; c < kChannels; ++c)
        sum[c] = fmaf(weight, static_cast<float>(load(from + kChannels * k + c)), sum[c]);
    }
    const float weight = down.weight(j, a.is_cubic);
    for (int c = 0; c < kChannels; ++c) level[c] = fmaf(weight, clamped(sum[c] * across_share), level[c]);
  }
  const float down_share = down.share(a.is_cubic);
  for (int c = 0; c < kChannels; ++c) out[c] = fmaf(a.slope[c], clamped(level[c] * down_share), a.at0[c]);
}

__device__ inline void put(float* shared, float value GRAFT_SITE) {
  GRAFT_NOTE(shared, shared, sizeof(value));
  *shared = value;
}
template <typename V>
__device__ V get(const V* shared GRAFT_SITE) {
  GRAFT_NOTE(shared, shared, sizeof(V));
  return *shared;
}

// A block makes kThreads neighbouring pixels, which lie behind each other in y.
template <typename T>
__global__ __launch_bounds__(kThreads) void resize_images_kernel(ResizeKernelArgs<T> a) {
  GRAFT_SHARED(Elements, made, [kThreads * kChannels / kN]);
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kThreads, p = begin + threadIdx.x;
  if (p < a.count) {
    float rgb[kChannels];
    resample(a, p, rgb);
    for (int c = 0; c < kChannels; ++c) {
      const unsigned i = kChannels * threadIdx.x + static_cast<unsigned>(c);
      put(&made[i / kN].at[i % kN], rgb[c]);
    }
  }
  __syncthreads();
  const int64_t left = kChannels * (a.count - begin);
  const int i = static_cast<int>(threadIdx.x) * kN,
            end = left < kThreads * kChannels ? static_cast<int>(left) : kThreads * kChannels;
  T* to = a.y + kChannels * begin + i;
  if (i + kN <= end) {
    store_floats(to, get(made + threadIdx.x), a.aligned);
  } else {
    for (int k = 0; i + k < end; ++k) store_float(to + k, get(&made[threadIdx.x].at[k]));
  }
}

template <typename T>
Status resize_images(CallContext& call, const ResizeImagesArgs& a) {
  const Shape& y = a.y.shape;
  ResizeKernelArgs<T> r{.pixels = a.pixels.as<uint8_t>(),
                        .boxes = a.boxes.as<ResizeBox>(),
                        .y = a.y.as<T>(),
                        .bytes = a.pixels.numel(),
                        .count = y.rows(),
                        .height = y[1],
                        .width = y[2],
                        .slope = {},
                        .at0 = {},
                        .is_cubic = a.filter == ResizeFilter::bicubic,
                        .aligned = all_aligned(a.y.as<T>())};
  for (int c = 0; c < kChannels; ++c) {
    r.slope[c] = static_cast<float>(1 / (255 * a.std[c]));
    r.at0[c] = static_cast<float>(-a.mean[c] / a.std[c]);
  }
  const auto blocks = static_cast<unsigned>(ceil_div(r.count, kThreads));
  return launch(call, {"resize_images", dim3(blocks), dim3(kThreads)}, resize_images_kernel<T>, r);
}

void enter_image(KernelTable& table) {
  enter<ResizeImagesArgs, resize_images<float>, resize_images<__nv_bfloat16>, resize_images<__half>>(table);
}

}  // namespace graft::cuda
