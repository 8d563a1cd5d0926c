// Batch norm, backward. With x̂ = (x − mean) / √(var + eps) and g = dy where the activation let it pass:
//   dbias = Σ g    dweight = Σ g·x̂    dx = weight / √(var + eps) · (g − dbias / m − x̂ · dweight / m)
//
// Memory traffic, n = rows · C elements of T: 4R + 1W, x and dy for the sums, x and dy again and dx (+ 2R y where an
// activation is undone, + 1W dresidual). Both sums need everything before dx can begin. With given statistics dx needs
// no sums: 1R + 1W.
#include "kernels/cuda/activation.h"
#include "kernels/cuda/columns.h"
#include "kernels/cuda/cuda_backend.h"

namespace graft::cuda {

// Σ g and Σ g·x̂.
struct GradientSums {
  float dbias = 0, dweight = 0;
  __device__ void merge(const GradientSums& other) {
    dbias += other.dbias;
    dweight += other.dweight;
  }
  __device__ void split(float& first, float& second) const { first = dbias, second = dweight; }
};

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

void enter_batch_norm_backward(KernelTable& table) {
  enter<BatchNormBackwardArgs, batch_norm_backward>(table);
  enter_workspace<BatchNormBackwardArgs, backward_workspace>(table);
}

}  // namespace graft::cuda
