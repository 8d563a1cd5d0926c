// Batch norm (Ioffe & Szegedy 2015) over the rows of a [rows, C] matrix: training forward, backward, inference as an
// affine map.
//
// Memory traffic, n = rows · C elements of T:
//   training   2R + 1W   x for the statistics, x again and y               (+ 1R residual)
//   inference  1R + 1W
//   backward   4R + 1W   x, dy for the sums, x, dy again and dx            (+ 2R y where an activation is undone, + 1W
//   dresidual)
// Both sums need all of x before the second pass can begin; what of it is still in L2 by then is not read from memory
// again.
//
// The matrix is cut by its shape alone into tiles of columns and slabs of rows, so the order of every sum is fixed. A
// thread owns kN neighbouring channels and strides down its slab; the threads of a column meet in shared memory; the
// slabs of a column meet in a second kernel. Variances are never E[x²] − E[x]²: the first row is subtracted from all,
// each thread takes the mean and the squared distances of a few rows at a time, and these are merged by Chan, Golub &
// LeVeque 1979. So neither data far from zero nor a first row far from the others costs digits.
#include "kernels/cuda/activation.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/memory.h"

namespace graft::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kUnroll = 4;      // rows a thread holds at once
constexpr int kMaxSlabs = 256;  // slabs of a column
constexpr int kMergeColumns = 32, kMergeRows = 8;

// How a [rows, C] matrix is cut.
struct Tiling {
  int64_t rows = 0, channels = 0;
  int per_thread = 1;                // kN: channels a thread owns; they never straddle a row
  int columns = 1, lanes = 1;        // threads of a block: columns × lanes, a lane being a row of threads
  int64_t tiles = 0;                 // blocks across
  int64_t slabs = 0, slab_rows = 0;  // blocks down
  dim3 grid() const { return dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(slabs)); }
  dim3 block() const { return dim3(static_cast<unsigned>(columns), static_cast<unsigned>(lanes)); }
};

template <typename T>
Tiling tiling_of(int64_t rows, int64_t channels) {
  Tiling t{.rows = rows, .channels = channels};
  t.per_thread = channels % kPerVector<T> == 0 ? kPerVector<T> : 1;
  const int64_t wide = channels / t.per_thread;
  while (t.columns < wide && t.columns < 32) t.columns *= 2;
  t.lanes = kThreads / t.columns;
  t.tiles = ceil_div(wide, t.columns);
  const int64_t finest = int64_t{t.lanes} * kUnroll;  // rows that keep a block busy for one step
  t.slabs = ceil_div(rows, finest) < kMaxSlabs ? ceil_div(rows, finest) : kMaxSlabs;
  if (t.slabs > 0)
    t.slab_rows = ceil_div(ceil_div(rows, t.slabs), finest) * finest, t.slabs = ceil_div(rows, t.slab_rows);
  return t;
}

// One thread a channel and row of threads: the kernels in which the slabs meet.
LaunchConfig merge_config(const char* name, int64_t channels) {
  return {name, dim3(static_cast<unsigned>(ceil_div(channels, kMergeColumns))), dim3(kMergeColumns, kMergeRows)};
}

}  // namespace

// ---- two sums a channel, and their meeting

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
// Σ g and Σ g·x̂.
struct GradientSums {
  float dbias = 0, dweight = 0;
  __device__ void merge(const GradientSums& other) {
    dbias += other.dbias;
    dweight += other.dweight;
  }
  __device__ void split(float& first, float& second) const { first = dbias, second = dweight; }
};

// Merges the lanes of each column, lane 0 ends with the whole: lane l takes in l + half, a fixed order.
template <typename Sums, int kN>
__device__ void merge_lanes(Sums (&mine)[kN]) {
  GRAFT_SHARED(Sums, shared, [kThreads * kN]);
  const unsigned stride = blockDim.x * blockDim.y, self = threadIdx.y * blockDim.x + threadIdx.x;
  for (int k = 0; k < kN; ++k) shared[k * stride + self] = mine[k];
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half)
      for (int k = 0; k < kN; ++k) {
        mine[k].merge(shared[k * stride + self + half * blockDim.x]);
        shared[k * stride + self] = mine[k];
      }
  }
}

// Partial sums lie in two planes [slabs, C] of the workspace, so that they are stored and loaded as the tensors are.
struct Planes {
  float* first;
  int64_t slabs, channels;
  __device__ float* at(int plane, int64_t slab, int64_t c) const {
    return first + (plane * slabs + slab) * channels + c;
  }
};
constexpr int64_t planes_bytes(int64_t slabs, int64_t channels) {
  return 2 * slabs * channels * static_cast<int64_t>(sizeof(float));
}

template <int kN, typename Sums>
__device__ void store_sums(const Planes& planes, int64_t slab, int64_t c, const Sums (&sums)[kN]) {
  Vector<float, kN> first, second;
  for (int k = 0; k < kN; ++k) sums[k].split(first.at[k], second.at[k]);
  store_vector(planes.at(0, slab, c), first, true);
  store_vector(planes.at(1, slab, c), second, true);
}

// The sums of channel c over all slabs, `of(slab)` each, by one thread of each column; the others return false.
template <typename Sums, typename Of>
__device__ bool merge_slabs(const Planes& planes, int64_t c, Of of, Sums* out) {
  Sums sums[1];
  if (c < planes.channels)
    for (int64_t slab = threadIdx.y; slab < planes.slabs; slab += blockDim.y) sums[0].merge(of(slab));
  merge_lanes<Sums, 1>(sums);
  *out = sums[0];
  return threadIdx.y == 0 && c < planes.channels;
}

// ---- training, forward

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
    const Vector<T, kN> origin = load_vector<kN>(a.x + c, a.aligned);
    for (int64_t row = first + threadIdx.y; row < last; row += int64_t{blockDim.y} * kUnroll) {
      Vector<T, kN> x[kUnroll] = {};
      int count = 0;
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        const int64_t at = row + u * int64_t{blockDim.y};
        if (at >= last) continue;
        x[u] = load_vector<kN>(a.x + at * a.channels + c, a.aligned);
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
                                                                         int64_t rows, T* mean, T* var) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const auto of = [&](int64_t slab) {
    const int64_t left = rows - slab * slab_rows;
    return Moments{static_cast<float>(left < slab_rows ? left : slab_rows), load(partial.at(0, slab, c)),
                   load(partial.at(1, slab, c))};
  };
  Moments sums;
  if (!merge_slabs(partial, c, of, &sums)) return;
  const auto m = static_cast<float>(rows);
  store(mean + c, rows > 0 ? load(x + c) + sums.mean : sums.mean / m);
  store(var + c, sums.m2 / m);
}

// ---- y = act((x − mean) · inv_std · weight + bias + residual), training and inference

template <typename T>
struct NormaliseArgs {
  const T *x, *residual;  // residual: nullptr if there is none
  const float *weight, *bias, *mean, *var;
  T* y;
  int64_t rows, channels, slab_rows;
  float eps;
  Activation activation;
  bool aligned, vectors_aligned;  // x, residual, y; the vectors [C]
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
    const Vector<T, kN> x = load_vector<kN>(a.x + at, a.aligned);
    Vector<T, kN> y;
    if (a.residual != nullptr) y = load_vector<kN>(a.residual + at, a.aligned);
    for (int k = 0; k < kN; ++k) {
      float value = (x.at[k] - mean.at[k]) * slope.at[k] + bias.at[k];
      if (a.residual != nullptr) value += y.at[k];
      y.at[k] = activated(a.activation, value);
    }
    store_vector(a.y + at, y, a.aligned);
  }
}

Tiling tiling_of(const TensorView& x) {
  const int64_t channels = x.shape.channels();
  return tiling_of<float>(channels > 0 ? x.numel() / channels : 0, channels);
}

template <typename Args>
Status normalise(CallContext& call, const Args& a, const Tiling& t, const char* name) {
  NormaliseArgs<float> n{.x = a.x.template as<float>(),
                         .residual = a.residual.template as<float>(),
                         .weight = a.weight.template as<float>(),
                         .bias = a.bias.template as<float>(),
                         .mean = a.mean.template as<float>(),
                         .var = a.var.template as<float>(),
                         .y = a.y.template as<float>(),
                         .rows = t.rows,
                         .channels = t.channels,
                         .slab_rows = t.slab_rows,
                         .eps = static_cast<float>(a.eps),
                         .activation = a.activation};
  n.aligned = all_aligned(n.x, n.residual, n.y);
  n.vectors_aligned = all_aligned(n.weight, n.bias, n.mean, n.var);
  const LaunchConfig config{name, t.grid(), t.block()};
  return t.per_thread == 1 ? launch(call, config, batch_norm_normalise_kernel<float, 1>, n)
                           : launch(call, config, batch_norm_normalise_kernel<float, kPerVector<float>>, n);
}

int64_t training_workspace(const BatchNormTrainingArgs& a) {
  const Tiling t = tiling_of(a.x);
  return planes_bytes(t.slabs, t.channels);
}

Status batch_norm_training(CallContext& call, const BatchNormTrainingArgs& a) {
  const Tiling t = tiling_of(a.x);
  if (call.workspace_bytes < training_workspace(a)) return Status::invalid_argument;
  const auto* x = a.x.as<float>();
  const Planes partial{static_cast<float*>(call.workspace), t.slabs, t.channels};
  const MomentsArgs<float> m{x, partial, t.rows, t.channels, t.slab_rows, all_aligned(x)};
  const LaunchConfig config{"batch_norm_moments", t.grid(), t.block()};
  Status status = t.per_thread == 1 ? launch(call, config, batch_norm_moments_kernel<float, 1>, m)
                                    : launch(call, config, batch_norm_moments_kernel<float, kPerVector<float>>, m);
  if (status != Status::ok) return status;
  status = launch(call, merge_config("batch_norm_statistics", t.channels), batch_norm_statistics_kernel<float>, x,
                  partial, t.slab_rows, t.rows, a.mean.as<float>(), a.var.as<float>());
  return status == Status::ok ? normalise(call, a, t, "batch_norm_training") : status;
}

Status batch_norm_inference(CallContext& call, const BatchNormInferenceArgs& a) {
  return normalise(call, a, tiling_of(a.x), "batch_norm_inference");
}

// ---- backward

template <typename T>
struct BackwardArgs {
  const T *x, *dy, *y;  // y: nullptr without an activation
  const float *weight, *mean, *var;
  T *dx, *dresidual;  // nullptr: not wanted
  Planes partial;     // of the slabs
  Planes sums;        // one slab: the whole; absent with given statistics
  int64_t rows, channels, slab_rows;
  float eps;
  bool batch_statistics;
  Activation activation;
  bool aligned, vectors_aligned;
};

// g = dy where the activation let it pass.
template <int kN, typename T>
__device__ Vector<T, kN> passed(const BackwardArgs<T>& a, int64_t at) {
  Vector<T, kN> g = load_vector<kN>(a.dy + at, a.aligned);
  if (a.activation == Activation::none) return g;
  const Vector<T, kN> y = load_vector<kN>(a.y + at, a.aligned);
  for (int k = 0; k < kN; ++k) g.at[k] = activation_gradient(a.activation, y.at[k], g.at[k]);
  return g;
}

// 1 / √(var + eps) of a thread's channels.
template <int kN, typename T>
__device__ Vector<float, kN> inverse_deviation(const BackwardArgs<T>& a, int64_t c) {
  Vector<float, kN> v = load_vector<kN>(a.var + c, a.vectors_aligned);
  for (int k = 0; k < kN; ++k) v.at[k] = 1 / sqrtf(v.at[k] + a.eps);
  return v;
}

template <typename T, int kN>
__global__ __launch_bounds__(kThreads) void batch_norm_gradient_sums_kernel(BackwardArgs<T> a) {
  const int64_t c = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kN;
  const int64_t first = blockIdx.y * a.slab_rows, last = first + a.slab_rows < a.rows ? first + a.slab_rows : a.rows;
  GradientSums sums[kN];
  if (c < a.channels) {
    const Vector<float, kN> mean = load_vector<kN>(a.mean + c, a.vectors_aligned);
    const Vector<float, kN> inv_std = inverse_deviation<kN>(a, c);
    for (int64_t row = first + threadIdx.y; row < last; row += blockDim.y) {
      const int64_t at = row * a.channels + c;
      const Vector<T, kN> x = load_vector<kN>(a.x + at, a.aligned), g = passed<kN>(a, at);
      for (int k = 0; k < kN; ++k) sums[k].merge({g.at[k], g.at[k] * (x.at[k] - mean.at[k]) * inv_std.at[k]});
    }
  }
  merge_lanes<GradientSums, kN>(sums);
  if (threadIdx.y == 0 && c < a.channels) store_sums(a.partial, blockIdx.y, c, sums);
}

// dweight, dbias: nullptr if not wanted
template <typename T>
__global__ __launch_bounds__(kThreads) void batch_norm_gradients_kernel(Planes partial, Planes whole, T* dweight,
                                                                        T* dbias) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const auto of = [&](int64_t slab) {
    return GradientSums{load(partial.at(0, slab, c)), load(partial.at(1, slab, c))};
  };
  GradientSums sums[1];
  if (!merge_slabs(partial, c, of, sums)) return;
  store_sums(whole, 0, c, sums);
  if (dweight != nullptr) store(dweight + c, sums[0].dweight);
  if (dbias != nullptr) store(dbias + c, sums[0].dbias);
}

// dx = weight · inv_std · (g − dbias / m − x̂ · dweight / m), or weight · inv_std · g with given statistics
template <typename T, int kN>
__global__ __launch_bounds__(kThreads) void batch_norm_dx_kernel(BackwardArgs<T> a) {
  const int64_t c = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kN;
  if (c >= a.channels) return;
  const Vector<float, kN> mean = load_vector<kN>(a.mean + c, a.vectors_aligned);
  const Vector<float, kN> inv_std = inverse_deviation<kN>(a, c);
  Vector<float, kN> slope = load_vector<kN>(a.weight + c, a.vectors_aligned), shift = {}, tilt = {};
  if (a.batch_statistics) {
    shift = load_vector<kN>(static_cast<const float*>(a.sums.at(0, 0, c)), true);
    tilt = load_vector<kN>(static_cast<const float*>(a.sums.at(1, 0, c)), true);
  }
  for (int k = 0; k < kN; ++k) {
    slope.at[k] *= inv_std.at[k];
    shift.at[k] /= static_cast<float>(a.rows);
    tilt.at[k] /= static_cast<float>(a.rows);
  }
  const int64_t first = blockIdx.y * a.slab_rows, last = first + a.slab_rows < a.rows ? first + a.slab_rows : a.rows;
  for (int64_t row = first + threadIdx.y; row < last; row += blockDim.y) {
    const int64_t at = row * a.channels + c;
    const Vector<T, kN> g = passed<kN>(a, at);
    if (a.dresidual != nullptr) store_vector(a.dresidual + at, g, a.aligned);
    if (a.dx == nullptr) continue;
    Vector<T, kN> dx;
    if (a.batch_statistics) {
      const Vector<T, kN> x = load_vector<kN>(a.x + at, a.aligned);
      for (int k = 0; k < kN; ++k)
        dx.at[k] = slope.at[k] * (g.at[k] - shift.at[k] - (x.at[k] - mean.at[k]) * inv_std.at[k] * tilt.at[k]);
    } else {
      for (int k = 0; k < kN; ++k) dx.at[k] = slope.at[k] * g.at[k];
    }
    store_vector(a.dx + at, dx, a.aligned);
  }
}

int64_t backward_workspace(const BatchNormBackwardArgs& a) {
  const Tiling t = tiling_of(a.x);
  return planes_bytes(t.slabs, t.channels) + planes_bytes(1, t.channels);
}

Status batch_norm_backward(CallContext& call, const BatchNormBackwardArgs& a) {
  const Tiling t = tiling_of(a.x);
  if (call.workspace_bytes < backward_workspace(a)) return Status::invalid_argument;
  auto* workspace = static_cast<float*>(call.workspace);
  BackwardArgs<float> b{.x = a.x.as<float>(),
                        .dy = a.dy.as<float>(),
                        .y = a.activation != Activation::none ? a.y.as<float>() : nullptr,
                        .weight = a.weight.as<float>(),
                        .mean = a.mean.as<float>(),
                        .var = a.var.as<float>(),
                        .dx = a.dx.as<float>(),
                        .dresidual = a.dresidual.as<float>(),
                        .partial = {workspace, t.slabs, t.channels},
                        .sums = {workspace + 2 * t.slabs * t.channels, 1, t.channels},
                        .rows = t.rows,
                        .channels = t.channels,
                        .slab_rows = t.slab_rows,
                        .eps = static_cast<float>(a.eps),
                        .batch_statistics = a.batch_statistics != 0,
                        .activation = a.activation};
  b.aligned = all_aligned(b.x, b.dy, b.y, b.dx, b.dresidual);
  b.vectors_aligned = all_aligned(b.weight, b.mean, b.var);
  constexpr int kN = kPerVector<float>;
  const bool wide = t.per_thread == kN;
  call.kernel = "batch_norm_backward";
  if (a.dweight.present() || a.dbias.present() || (a.dx.present() && b.batch_statistics)) {
    const LaunchConfig config{"batch_norm_gradient_sums", t.grid(), t.block()};
    Status status = wide ? launch(call, config, batch_norm_gradient_sums_kernel<float, kN>, b)
                         : launch(call, config, batch_norm_gradient_sums_kernel<float, 1>, b);
    if (status != Status::ok) return status;
    status = launch(call, merge_config("batch_norm_gradients", t.channels), batch_norm_gradients_kernel<float>,
                    b.partial, b.sums, a.dweight.as<float>(), a.dbias.as<float>());
    if (status != Status::ok) return status;
  }
  if (!a.dx.present() && !a.dresidual.present()) return Status::ok;
  const LaunchConfig config{"batch_norm_dx", t.grid(), t.block()};
  return wide ? launch(call, config, batch_norm_dx_kernel<float, kN>, b)
              : launch(call, config, batch_norm_dx_kernel<float, 1>, b);
}

void enter_batch_norm(KernelTable& table) {
  enter<BatchNormTrainingArgs, batch_norm_training>(table);
  enter_workspace<BatchNormTrainingArgs, training_workspace>(table);
  enter<BatchNormInferenceArgs, batch_norm_inference>(table);
  enter<BatchNormBackwardArgs, batch_norm_backward>(table);
  enter_workspace<BatchNormBackwardArgs, backward_workspace>(table);
}

}  // namespace graft::cuda
