// Batch norm (Ioffe & Szegedy 2015) over the rows of a [rows, C] matrix: training forward, and inference as an affine
// map.
//
// Memory traffic, n = rows · C elements of T:
//   training   2R + 1W   x for the statistics, x again and y   (+ 1R residual, + 1/16 W mask)
//   inference  1R + 1W                                         (+ 1R residual, + 1/16 W mask)
// The statistics need all of x before the second pass can begin; what of it is still in L2 by then is not read from
// memory again.
//
// Variances are never E[x²] − E[x]²: the first row is subtracted from all, each thread takes the mean and the squared
// distances of a few rows at a time, and these are merged by Chan, Golub & LeVeque 1979. So neither data far from zero
// nor a first row far from the others costs digits.
#include "kernels/cuda/activation.h"
#include "kernels/cuda/columns.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/mask.h"

namespace graft::cuda {

// Count, mean and Σ(x − mean)² of some values.
struct Moments {
  float n = 0, mean = 0, m2 = 0;
  __device__ void merge(const Moments& other) {
    if (other.n == 0) return;
    if (n == 0) {
      *this = other;
      return;
    }
    const float total = n + other.n, share = other.n / total, delta = other.mean - mean;
    mean += delta * share;
    m2 += other.m2 + delta * delta * n * share;
    n = total;
  }
  __device__ void split(float& first, float& second) const { first = mean, second = m2; }
};

// ---- training

template <typename T>
struct MomentsArgs {
  const T* x;
  Planes partial;
  int64_t rows, channels, slab_rows;
  bool aligned;
};

template <typename T, int kN>
__global__ __launch_bounds__(kThreads) void batch_norm_moments_kernel(MomentsArgs<T> a) {
  const int64_t c = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kN;
  const int64_t first = blockIdx.y * a.slab_rows, last = first + a.slab_rows < a.rows ? first + a.slab_rows : a.rows;
  Moments sums[kN];
  if (c < a.channels) {
    const Vector<float, kN> origin = load_floats<kN>(a.x + c, a.aligned);
    for (int64_t row = first + threadIdx.y; row < last; row += int64_t{blockDim.y} * kUnroll) {
      Vector<float, kN> x[kUnroll] = {};
      int count = 0;
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        const int64_t at = row + u * int64_t{blockDim.y};
        if (at >= last) continue;
        x[u] = load_floats<kN>(a.x + at * a.channels + c, a.aligned);
        for (int k = 0; k < kN; ++k) x[u].at[k] -= origin.at[k];
        count = u + 1;
      }
      for (int k = 0; k < kN; ++k) {
        Moments few{.n = static_cast<float>(count)};
#pragma unroll
        for (int u = 0; u < kUnroll; ++u) few.mean += x[u].at[k];
        few.mean /= few.n;
#pragma unroll
        for (int u = 0; u < kUnroll; ++u)
          if (u < count) few.m2 += (x[u].at[k] - few.mean) * (x[u].at[k] - few.mean);
        sums[k].merge(few);
      }
    }
  }
  merge_lanes<Moments, kN>(sums);
  if (threadIdx.y == 0 && c < a.channels) store_sums(a.partial, blockIdx.y, c, sums);
}

// No rows: 0 / 0, the statistics are NaN.
template <typename T>
__global__ __launch_bounds__(kThreads) void batch_norm_statistics_kernel(const T* x, Planes partial, int64_t slab_rows,
                                                                         int64_t rows, float* mean, float* var) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const auto of = [&](int64_t slab) {
    const int64_t left = rows - slab * slab_rows;
    return Moments{static_cast<float>(left < slab_rows ? left : slab_rows), load(partial.at(0, slab, c)),
                   load(partial.at(1, slab, c))};
  };
  Moments sums;
  if (!merge_slabs(partial, c, of, &sums)) return;
  const auto m = static_cast<float>(rows);
  store(mean + c, rows > 0 ? load_float(x + c) + sums.mean : sums.mean / m);
  store(var + c, sums.m2 / m);
}

// ---- z = (x − mean) · inv_std · weight + bias + residual, y = act(z), training and inference

template <typename T>
struct NormaliseArgs {
  const T *x, *residual;  // residual: nullptr if there is none
  const float *weight, *bias, *mean, *var;
  T* y;
  uint8_t* mask;  // [rows, C / mask_width(C)], or nullptr: not wanted
  int64_t rows, channels, slab_rows;
  float eps;
  Activation activation;
  bool aligned, vectors_aligned;  // x, residual, y, mask; the vectors [C]
};

template <typename T, int kN>
__global__ __launch_bounds__(kThreads) void batch_norm_normalise_kernel(NormaliseArgs<T> a) {
  const int64_t c = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kN;
  if (c >= a.channels) return;
  const Vector<float, kN> mean = load_vector<kN>(a.mean + c, a.vectors_aligned);
  const Vector<float, kN> bias = load_vector<kN>(a.bias + c, a.vectors_aligned);
  Vector<float, kN> slope = load_vector<kN>(a.weight + c, a.vectors_aligned);
  const Vector<float, kN> var = load_vector<kN>(a.var + c, a.vectors_aligned);
  for (int k = 0; k < kN; ++k) slope.at[k] /= sqrtf(var.at[k] + a.eps);
  const int64_t first = blockIdx.y * a.slab_rows, last = first + a.slab_rows < a.rows ? first + a.slab_rows : a.rows;
  for (int64_t row = first + threadIdx.y; row < last; row += blockDim.y) {
    const int64_t at = row * a.channels + c;
    const Vector<float, kN> x = load_floats<kN>(a.x + at, a.aligned);
    Vector<float, kN> y;
    if (a.residual != nullptr) y = load_floats<kN>(a.residual + at, a.aligned);
    unsigned passed = 0;
    for (int k = 0; k < kN; ++k) {
      float z = fmaf(x.at[k] - mean.at[k], slope.at[k], bias.at[k]);
      if (a.residual != nullptr) z += y.at[k];
      passed |= static_cast<unsigned>(lets_pass(a.activation, z)) << k;
      y.at[k] = activated(a.activation, z);
    }
    store_floats(a.y + at, y, a.aligned);
    if (a.mask != nullptr) store_mask<kN>(a.mask, at, passed, a.channels, a.aligned);
  }
}

template <typename T, typename Args>
Status normalise(CallContext& call, const Args& a, const Tiling& t, const char* name) {
  NormaliseArgs<T> n{.x = a.x.template as<T>(),
                     .residual = a.residual.template as<T>(),
                     .weight = a.weight.template as<float>(),
                     .bias = a.bias.template as<float>(),
                     .mean = a.mean.template as<float>(),
                     .var = a.var.template as<float>(),
                     .y = a.y.template as<T>(),
                     .mask = a.mask.template as<uint8_t>(),
                     .rows = t.rows,
                     .channels = t.channels,
                     .slab_rows = t.slab_rows,
                     .eps = static_cast<float>(a.eps),
                     .activation = a.activation};
  n.aligned = all_aligned(n.x, n.residual, n.y, n.mask);
  n.vectors_aligned = all_aligned(n.weight, n.bias, n.mean, n.var);
  const LaunchConfig config{name, t.grid(), t.block()};
  return t.per_thread == 1 ? launch(call, config, batch_norm_normalise_kernel<T, 1>, n)
                           : launch(call, config, batch_norm_normalise_kernel<T, kPerVector<T>>, n);
}

int64_t training_workspace(const BatchNormTrainingArgs& a) {
  const Tiling t = tiling_of(a.x);
  return planes_bytes(t.slabs, t.channels);
}

template <typename T>
Status batch_norm_training(CallContext& call, const BatchNormTrainingArgs& a) {
  const Tiling t = tiling_of(a.x);
  if (call.workspace_bytes < training_workspace(a)) return Status::invalid_argument;
  const T* x = a.x.as<T>();
  const Planes partial{static_cast<float*>(call.workspace), t.slabs, t.channels};
  const MomentsArgs<T> m{x, partial, t.rows, t.channels, t.slab_rows, all_aligned(x)};
  const LaunchConfig config{"batch_norm_moments", t.grid(), t.block()};
  Status status = t.per_thread == 1 ? launch(call, config, batch_norm_moments_kernel<T, 1>, m)
                                    : launch(call, config, batch_norm_moments_kernel<T, kPerVector<T>>, m);
  if (status != Status::ok) return status;
  status = launch(call, merge_config("batch_norm_statistics", t.channels), batch_norm_statistics_kernel<T>, x, partial,
                  t.slab_rows, t.rows, a.mean.as<float>(), a.var.as<float>());
  return status == Status::ok ? normalise<T>(call, a, t, "batch_norm_training") : status;
}

template <typename T>
Status batch_norm_inference(CallContext& call, const BatchNormInferenceArgs& a) {
  return normalise<T>(call, a, tiling_of(a.x), "batch_norm_inference");
}

// ---- running ← (1 − momentum) · running + momentum · batch, the variance unbiased: · m / (m − 1)

struct RunningArgs {
  const float *mean, *var;
  const int64_t* flag;  // nullptr, or read on the device: nothing moves while it is up
  float *running_mean, *running_var;
  int64_t channels;
  float keep, take_mean, take_var;
};

__global__ __launch_bounds__(kThreads) void update_running_stats_kernel(RunningArgs a) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (c >= a.channels || (a.flag != nullptr && load(a.flag) != 0)) return;
  store(a.running_mean + c, a.keep * load(a.running_mean + c) + a.take_mean * load(a.mean + c));
  store(a.running_var + c, a.keep * load(a.running_var + c) + a.take_var * load(a.var + c));
}

Status update_running_stats(CallContext& call, const UpdateRunningStatsArgs& a) {
  const double bessel = static_cast<double>(a.rows) / static_cast<double>(a.rows - 1);
  const RunningArgs r{.mean = a.mean.as<float>(),
                      .var = a.var.as<float>(),
                      .flag = a.flag.as<int64_t>(),
                      .running_mean = a.running_mean.as<float>(),
                      .running_var = a.running_var.as<float>(),
                      .channels = a.mean.numel(),
                      .keep = static_cast<float>(1 - a.momentum),
                      .take_mean = static_cast<float>(a.momentum),
                      .take_var = static_cast<float>(a.momentum * bessel)};
  const auto blocks = static_cast<unsigned>(ceil_div(r.channels, kThreads));
  return launch(call, {"update_running_stats", dim3(blocks), dim3(kThreads)}, update_running_stats_kernel, r);
}

void enter_batch_norm(KernelTable& table) {
  enter<BatchNormTrainingArgs, batch_norm_training<float>, batch_norm_training<__nv_bfloat16>>(table);
  enter_workspace<BatchNormTrainingArgs, training_workspace>(table);
  enter<BatchNormInferenceArgs, batch_norm_inference<float>, batch_norm_inference<__nv_bfloat16>,
        batch_norm_inference<__half>>(table);
  enter<UpdateRunningStatsArgs, update_running_stats>(table);
}

}  // namespace graft::cuda
