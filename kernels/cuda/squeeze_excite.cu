// Squeeze-and-excite's two small layers in one launch:
//
//   gate = gate_act(weight2 · act(weight1 · (factor · squeeze) + bias1) + bias2)
//
// Memory traffic: the weights, 2·C·S elements (a few hundred kB at most), from L2 for each image; all else is vectors.
// So the time is that of a launch and of two dependent rounds of loads: one block an image, of as many threads as a
// block can have. A warp makes a hidden unit, its lanes stride along the channels; then eight lanes make a gate.
#include "kernels/cuda/activation.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/launch.h"

namespace graft::cuda {

namespace {
constexpr int kBlockThreads = 1024, kWarp = 32, kLanesOfGate = 8;
// What every card gives a block unasked.
static_assert(SqueezeExciteArgs::kMaxUnits * sizeof(float) <= 48 * 1024);
}  // namespace

template <typename T>
struct SqueezeExcite {
  const float *squeeze, *bias1, *bias2;  // biases: nullptr if there are none
  const T *weight1, *weight2;
  T* gate;
  int32_t channels, units;
  float factor;
  Activation activation, gate_activation;
  bool aligned;
};

// Over kLanes neighbouring lanes, in an order that is the same for each.
template <int kLanes>
__device__ inline float sum_lanes(float value) {
  for (int other = kLanes / 2; other > 0; other /= 2) value += __shfl_xor_sync(~0u, value, other);
  return value;
}

// One block a processor is enough: aiming at two, ptxas spills.
template <typename T, int kN>
__global__ __launch_bounds__(kBlockThreads, 1) void squeeze_excite_kernel(SqueezeExcite<T> a) {
  GRAFT_DYNAMIC_SHARED(float, hidden);  // [units]
  const int64_t image = blockIdx.x, channels = a.channels;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp;
  const float* squeeze = a.squeeze + image * channels;
  for (int unit = thread / kWarp; unit < a.units; unit += kBlockThreads / kWarp) {
    float sum = 0;
#pragma unroll 4
    for (int c = lane * kN; c < a.channels; c += kWarp * kN) {
      const Vector<float, kN> x = load_vector<kN>(squeeze + c, a.aligned);
      const Vector<float, kN> weight = load_floats<kN>(a.weight1 + unit * channels + c, a.aligned);
      for (int k = 0; k < kN; ++k) sum = fmaf(x.at[k], weight.at[k], sum);
    }
    sum = sum_lanes<kWarp>(sum);
    if (lane == 0) {
      const float bias = a.bias1 != nullptr ? load(a.bias1 + unit) : 0.0f;
      store_shared(hidden + unit, activated(a.activation, fmaf(sum, a.factor, bias)));
    }
  }
  __syncthreads();
  // All lanes of a warp go round equally often: they meet in shuffles.
  for (int first = thread / kWarp * (kWarp / kLanesOfGate); first < a.channels; first += kBlockThreads / kLanesOfGate) {
    const int c = first + lane / kLanesOfGate;
    float sum = 0;
#pragma unroll 4
    for (int unit = lane % kLanesOfGate; unit < a.units && c < a.channels; unit += kLanesOfGate)
      sum = fmaf(load_float(a.weight2 + int64_t{c} * a.units + unit), load_shared(hidden + unit), sum);
    sum = sum_lanes<kLanesOfGate>(sum);
    if (lane % kLanesOfGate == 0 && c < a.channels) {
      const float bias = a.bias2 != nullptr ? load(a.bias2 + c) : 0.0f;
      store_float(a.gate + image * channels + c, activated(a.gate_activation, sum + bias));
    }
  }
}

template <typename T>
Status squeeze_excite(CallContext& call, const SqueezeExciteArgs& a) {
  call.kernel = "squeeze_excite";
  if (a.gate.numel() == 0) return Status::ok;
  const int64_t units = a.weight1.shape[0];
  if (a.gate.shape[0] > INT32_MAX || a.gate.shape[1] > INT32_MAX - kBlockThreads * 4) return Status::unsupported;
  const SqueezeExcite<T> s{.squeeze = a.squeeze.as<float>(),
                           .bias1 = a.bias1.as<float>(),
                           .bias2 = a.bias2.as<float>(),
                           .weight1 = a.weight1.as<T>(),
                           .weight2 = a.weight2.as<T>(),
                           .gate = a.gate.as<T>(),
                           .channels = static_cast<int32_t>(a.gate.shape[1]),
                           .units = static_cast<int32_t>(units),
                           .factor = static_cast<float>(a.factor),
                           .activation = a.activation,
                           .gate_activation = a.gate_activation,
                           .aligned = all_aligned(a.squeeze.as<float>(), a.weight1.as<T>())};
  const LaunchConfig config{"squeeze_excite", dim3(static_cast<unsigned>(a.gate.shape[0])), dim3(kBlockThreads),
                            static_cast<size_t>(units) * sizeof(float)};
  return s.channels % 4 == 0 ? launch(call, config, squeeze_excite_kernel<T, 4>, s)
                             : launch(call, config, squeeze_excite_kernel<T, 1>, s);
}

void enter_squeeze_excite(KernelTable& table) {
  enter<SqueezeExciteArgs, squeeze_excite<float>, squeeze_excite<__nv_bfloat16>, squeeze_excite<__half>>(table);
}

}  // namespace graft::cuda
