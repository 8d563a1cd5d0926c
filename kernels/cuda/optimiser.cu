// What ends a step: the check for finite gradients, the optimisers, the average of the weights, the counters. (The norm
// of the gradients is in gradient_norm.cu.)
//
// Memory traffic in floats an element: check_finite 1R; sgd 2R + 1W, with momentum 3R + 2W; adamw 4R + 3W; ema 2R + 1W;
// 16 bytes an access. A copy in 16 bits is half a float written, 8 bytes an access, beside what is read anyway. All of
// a group's parameters lie behind each other, so one launch moves them all. Nothing moves while the flag is up. Flag,
// learning rate, step and clipping factor change while a captured step is replayed: every thread reads them on the
// device, from L2.
#include <cmath>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/memory.h"

namespace graft::cuda {

namespace {
constexpr int kThreads = 256, kN = kPerVector<float>;
constexpr int64_t kCheckBlocks = 1024;  // at most, each with many vectors: one atomic a warp at the end
}  // namespace

__device__ inline bool is_up(const int64_t* flag) { return flag != nullptr && load(flag) != 0; }

// ---- check_finite

// An exponent of ones: infinite or NaN.
__device__ inline bool is_finite(float x) { return (__float_as_uint(x) & 0x7F800000u) != 0x7F800000u; }

// Any number of warps may raise the flag; none lowers it, so their order is the same to the bit.
template <typename T>
__global__ __launch_bounds__(kThreads) void check_finite_kernel(const T* x, int64_t n, int64_t* flag, bool aligned) {
  constexpr int kN = kPerVector<T>;
  bool finite = true;
  const int64_t stride = int64_t{gridDim.x} * kThreads * kN;
#pragma unroll 4
  for (int64_t i = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kN; i < n; i += stride) {
    if (i + kN <= n) {
      const Vector<float, kN> v = load_floats<kN>(x + i, aligned);
      for (int k = 0; k < kN; ++k) finite = finite && is_finite(v.at[k]);
    } else {
      for (int64_t k = i; k < n; ++k) finite = finite && is_finite(load_float(x + k));
    }
  }
  if (__any_sync(~0u, !finite) && threadIdx.x % 32 == 0) atomicExch(reinterpret_cast<unsigned long long*>(flag), 1ull);
}

template <typename T>
Status check_finite(CallContext& call, const CheckFiniteArgs& a) {
  const T* x = a.x.as<T>();
  const int64_t n = a.x.numel(), wanted = ceil_div(n, kThreads * kPerVector<T>);
  const auto blocks = static_cast<unsigned>(wanted < kCheckBlocks ? wanted : kCheckBlocks);
  return launch(call, {"check_finite", dim3(blocks), dim3(kThreads)}, check_finite_kernel<T>, x, n,
                a.flag.as<int64_t>(), all_aligned(x));
}

// ---- sgd, adamw

struct UpdateArgs {
  const float *gradient, *gradient_factor;  // the factor: nullptr is 1
  float *parameter, *first, *second;        // the optimiser's state; nullptr: it has none
  void* copy;                               // nullptr: not wanted
  const double* learning_rate;
  const int64_t *step, *flag;
  int64_t n;
  bool aligned, copy_aligned, copy_is_bf16;
};

// The parameters as they come out, in 16 bits each.
template <int kCount>
__device__ void store_copy(const UpdateArgs& u, int64_t i, const Vector<float, kCount>& parameter) {
  if (u.copy == nullptr) return;
  if (u.copy_is_bf16)
    store_floats(static_cast<__nv_bfloat16*>(u.copy) + i, parameter, u.copy_aligned);
  else
    store_floats(static_cast<__half*>(u.copy) + i, parameter, u.copy_aligned);
}

// A rule is given the step's learning rate and number, then makes one element after the other.

// g = gradient + weight_decay·parameter    v = first step ? g : momentum·v + g
// parameter −= lr·(nesterov ? g + momentum·v : v)
struct Sgd {
  float momentum, weight_decay;
  bool nesterov;
  float rate = 0;
  bool is_first = false;

  __device__ void begin(double learning_rate, int64_t step) {
    rate = static_cast<float>(learning_rate);
    is_first = step == 0 || momentum == 0;
  }
  __device__ void operator()(float gradient, float& parameter, float& velocity, float&) const {
    const float g = gradient + weight_decay * parameter;
    velocity = is_first ? g : momentum * velocity + g;
    parameter -= rate * (nesterov ? g + momentum * velocity : velocity);
  }
};

// parameter −= lr·weight_decay·parameter    m = β1·m + (1 − β1)·g    v = β2·v + (1 − β2)·g²
// parameter −= lr / (1 − β1^t) · m / (√(v / (1 − β2^t)) + eps)        t = step + 1
struct AdamW {
  float beta1, rest1, beta2, rest2, eps;  // rest = 1 − β
  double log_beta1, log_beta2, weight_decay;
  float keep = 1, rate = 0, inverse2 = 1;

  // 1 − β^t = −(e^(t·log β) − 1): expm1 has all digits of a float where 1 − β^t in floats has few.
  __device__ void begin(double learning_rate, int64_t step) {
    const double t = static_cast<double>(step) + 1;
    keep = static_cast<float>(1 - learning_rate * weight_decay);
    rate = static_cast<float>(learning_rate) / -expm1f(static_cast<float>(t * log_beta1));
    inverse2 = 1 / -expm1f(static_cast<float>(t * log_beta2));
  }
  __device__ void operator()(float g, float& parameter, float& m, float& v) const {
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * g * g;
    parameter = keep * parameter - rate * m / (sqrtf(v * inverse2) + eps);
  }
};

template <int kCount, typename Rule>
__device__ void update_at(const UpdateArgs& u, int64_t i, float factor, const Rule& rule) {
  const Vector<float, kCount> gradient = load_vector<kCount>(u.gradient + i, u.aligned);
  Vector<float, kCount> parameter = load_vector<kCount>(u.parameter + i, u.aligned), first = {}, second = {};
  if (u.first != nullptr) first = load_vector<kCount>(u.first + i, u.aligned);
  if (u.second != nullptr) second = load_vector<kCount>(u.second + i, u.aligned);
  for (int k = 0; k < kCount; ++k) rule(gradient.at[k] * factor, parameter.at[k], first.at[k], second.at[k]);
  store_vector(u.parameter + i, parameter, u.aligned);
  if (u.first != nullptr) store_vector(u.first + i, first, u.aligned);
  if (u.second != nullptr) store_vector(u.second + i, second, u.aligned);
  store_copy(u, i, parameter);
}

template <int kCount>
__device__ void copy_at(const UpdateArgs& u, int64_t i) {
  store_copy(u, i, load_vector<kCount>(u.parameter + i, u.aligned));
}

template <typename Rule>
__global__ __launch_bounds__(kThreads) void update_kernel(UpdateArgs u, Rule rule) {
  const int64_t begin = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kN;
  const bool whole = begin + kN <= u.n;
  if (is_up(u.flag)) {  // the copy is of what there is
    if (u.copy == nullptr) return;
    if (whole) copy_at<kN>(u, begin);
    for (int64_t i = begin; !whole && i < u.n; ++i) copy_at<1>(u, i);
    return;
  }
  rule.begin(load(u.learning_rate), load(u.step));
  const float factor = u.gradient_factor != nullptr ? load(u.gradient_factor) : 1;
  if (whole) update_at<kN>(u, begin, factor, rule);
  for (int64_t i = begin; !whole && i < u.n; ++i) update_at<1>(u, i, factor, rule);
}

template <typename Args, typename Rule>
Status update(CallContext& call, const char* name, const Args& a, float* first, float* second, const Rule& rule) {
  UpdateArgs u{.gradient = a.gradient.template as<float>(),
               .gradient_factor = a.gradient_factor.template as<float>(),
               .parameter = a.parameter.template as<float>(),
               .first = first,
               .second = second,
               .copy = a.copy.data,
               .learning_rate = a.learning_rate.template as<double>(),
               .step = a.step.template as<int64_t>(),
               .flag = a.flag.template as<int64_t>(),
               .n = a.parameter.numel(),
               .aligned = false,
               .copy_aligned = all_aligned(static_cast<const char*>(a.copy.data)),
               .copy_is_bf16 = a.copy.dtype == DType::bf16};
  u.aligned = all_aligned(u.gradient, u.parameter, u.first, u.second);
  const auto blocks = static_cast<unsigned>(ceil_div(u.n, kThreads * kN));
  return launch(call, {name, dim3(blocks), dim3(kThreads)}, update_kernel<Rule>, u, rule);
}

Status sgd(CallContext& call, const SgdArgs& a) {
  const Sgd rule{static_cast<float>(a.momentum), static_cast<float>(a.weight_decay), a.nesterov != 0};
  return update(call, "sgd", a, a.momentum != 0 ? a.velocity.as<float>() : nullptr, nullptr, rule);
}

Status adamw(CallContext& call, const AdamWArgs& a) {
  const AdamW rule{.beta1 = static_cast<float>(a.beta1),
                   .rest1 = static_cast<float>(1 - a.beta1),
                   .beta2 = static_cast<float>(a.beta2),
                   .rest2 = static_cast<float>(1 - a.beta2),
                   .eps = static_cast<float>(a.eps),
                   .log_beta1 = std::log(a.beta1),
                   .log_beta2 = std::log(a.beta2),
                   .weight_decay = a.weight_decay};
  return update(call, "adamw", a, a.m.as<float>(), a.v.as<float>(), rule);
}

// ---- ema

struct EmaKernelArgs {
  const float* parameter;
  float* average;
  const int64_t* flag;
  int64_t n;
  float rest;  // 1 − decay
  bool aligned;
};

// average − rest·average + rest·parameter: decay and 1 − decay, both rounded, would not add up to 1, and so pull every
// average toward or away from zero, by up to 1/3000 for a decay of 0.9999.
template <int kCount>
__device__ void average_at(const EmaKernelArgs& a, int64_t i) {
  const Vector<float, kCount> parameter = load_vector<kCount>(a.parameter + i, a.aligned);
  Vector<float, kCount> average = load_vector<kCount>(a.average + i, a.aligned);
  for (int k = 0; k < kCount; ++k)
    average.at[k] = fmaf(a.rest, parameter.at[k], fmaf(-a.rest, average.at[k], average.at[k]));
  store_vector(a.average + i, average, a.aligned);
}

__global__ __launch_bounds__(kThreads) void ema_kernel(EmaKernelArgs a) {
  const int64_t begin = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kN;
  if (is_up(a.flag)) return;
  const bool whole = begin + kN <= a.n;
  if (whole) average_at<kN>(a, begin);
  for (int64_t i = begin; !whole && i < a.n; ++i) average_at<1>(a, i);
}

Status ema(CallContext& call, const EmaArgs& a) {
  EmaKernelArgs e{.parameter = a.parameter.as<float>(),
                  .average = a.average.as<float>(),
                  .flag = a.flag.as<int64_t>(),
                  .n = a.parameter.numel(),
                  .rest = static_cast<float>(1 - a.decay),
                  .aligned = false};
  e.aligned = all_aligned(e.parameter, e.average);
  const auto blocks = static_cast<unsigned>(ceil_div(e.n, kThreads * kN));
  return launch(call, {"ema", dim3(blocks), dim3(kThreads)}, ema_kernel, e);
}

// ---- finish_step

// Block 0 counts the step, block 1 moves the random state on, modulo 2^64.
__global__ __launch_bounds__(1) void finish_step_kernel(const int64_t* flag, int64_t* step, int64_t* random_state,
                                                        int64_t advance) {
  if (is_up(flag)) return;
  int64_t* counter = blockIdx.x == 0 ? step : random_state + 1;
  const uint64_t by = blockIdx.x == 0 ? 1 : static_cast<uint64_t>(advance);
  store(counter, static_cast<int64_t>(static_cast<uint64_t>(load(counter)) + by));
}

Status finish_step(CallContext& call, const FinishStepArgs& a) {
  return launch(call, {"finish_step", dim3(a.random_state.present() ? 2 : 1), dim3(1)}, finish_step_kernel,
                a.flag.as<int64_t>(), a.step.as<int64_t>(), a.random_state.as<int64_t>(), a.advance);
}

void enter_optimiser(KernelTable& table) {
  enter<CheckFiniteArgs, check_finite<float>, check_finite<__nv_bfloat16>>(table);
  enter<SgdArgs, sgd>(table);
  enter<AdamWArgs, adamw>(table);
  enter<EmaArgs, ema>(table);
  enter<FinishStepArgs, finish_step>(table);
}

}  // namespace graft::cuda
