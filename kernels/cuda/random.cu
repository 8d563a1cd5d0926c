// Random masks. A thread makes one block of Philox-4x32-10, which is 4 elements: 1W, 16 or 8 bytes an access. Some 30
// integer operations an element hide behind the memory. Seed and offset are read on the device: they change from step
// to step.
#include <cmath>

#include "contract/philox.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/memory.h"

namespace graft::cuda {

namespace {
constexpr int kThreads = 256, kWords = 4;
}

template <typename T>
struct MaskArgs {
  const int64_t* state;  // seed, offset
  T* y;
  int64_t n;
  uint64_t stream;
  uint32_t threshold;  // u >= probability: the word's upper 24 bits are at least this
  float kept;
  bool aligned;
};

template <typename T>
__global__ __launch_bounds__(kThreads) void bernoulli_mask_kernel(MaskArgs<T> a) {
  const int64_t block = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x, begin = block * kWords;
  const auto seed = static_cast<uint64_t>(load(a.state)), offset = static_cast<uint64_t>(load(a.state + 1));
  const PhiloxBlock random = philox(seed, offset + static_cast<uint64_t>(block), a.stream);
  Vector<float, kWords> y;
  for (int k = 0; k < kWords; ++k) y.at[k] = random.word[k] >> 8 >= a.threshold ? a.kept : 0.0f;
  if (begin + kWords <= a.n) {
    store_floats(a.y + begin, y, a.aligned);
  } else {
    for (int k = 0; k < kWords; ++k)
      if (begin + k < a.n) store_float(a.y + begin + k, y.at[k]);
  }
}

template <typename T>
Status bernoulli_mask(CallContext& call, const BernoulliMaskArgs& a) {
  T* y = a.y.as<T>();
  const MaskArgs<T> m{.state = a.state.as<int64_t>(),
                      .y = y,
                      .n = a.y.numel(),
                      .stream = static_cast<uint64_t>(a.stream),
                      .threshold = static_cast<uint32_t>(std::ceil(a.probability * 0x1p24)),
                      .kept = static_cast<float>(1 / (1 - a.probability)),
                      .aligned = all_aligned(y)};
  const auto blocks = static_cast<unsigned>(ceil_div(m.n, kThreads * kWords));
  return launch(call, {"bernoulli_mask", dim3(blocks), dim3(kThreads)}, bernoulli_mask_kernel<T>, m);
}

void enter_random(KernelTable& table) {
  enter<BernoulliMaskArgs, bernoulli_mask<float>, bernoulli_mask<__nv_bfloat16>>(table);
}

}  // namespace graft::cuda
