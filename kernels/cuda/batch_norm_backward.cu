// Batch norm, backward. With x̂ = (x − mean) / √(var + eps), z = x̂ · weight + bias and g = dy · act′(z):
//   dbias = Σ g    dweight = Σ g·x̂    dx = weight / √(var + eps) · (g − dbias / m − x̂ · dweight / m)
//
// Memory traffic, n = rows · C elements of T: 4R + 1W, x and dy for the sums, x and dy again and dx (+ 1W dresidual).
// act′ costs nothing more, since z follows from x, or 2/16 R for the mask where a residual went into z. Both sums need
// everything before dx can begin. With given statistics dx needs no sums: 1R + 1W (+ 1R of x for z).
#include "kernels/cuda/activation.h"
#include "kernels/cuda/columns.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/mask.h"

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
  const T *x, *dy;
  const uint8_t* mask;                      // nullptr: z is made from x
  const float *weight, *bias, *mean, *var;  // bias: nullptr where z is not needed
  T *dx, *dresidual;                        // nullptr: not wanted
  Planes partial;                           // of the slabs
  Planes sums;                              // one slab: the whole; absent with given statistics
  int64_t rows, channels, slab_rows;
  float eps;
  bool batch_statistics, needs_x;  // needs_x: for dx, or for z
  Activation activation;
  bool aligned, vectors_aligned;
};

// What a thread knows of its channels.
template <int kN>
struct Channels {
  Vector<float, kN> mean, inv_std, slope, bias;  // slope: as forward had it
};
template <int kN, typename T>
__device__ Channels<kN> channels_of(const BackwardArgs<T>& a, int64_t c) {
  Channels<kN> n;
  n.mean = load_vector<kN>(a.mean + c, a.vectors_aligned);
  n.slope = load_vector<kN>(a.weight + c, a.vectors_aligned);
  const Vector<float, kN> var = load_vector<kN>(a.var + c, a.vectors_aligned);
  n.bias = a.bias != nullptr ? load_vector<kN>(a.bias + c, a.vectors_aligned) : Vector<float, kN>{};
  for (int k = 0; k < kN; ++k) {
    const float deviation = sqrtf(var.at[k] + a.eps);
    n.inv_std.at[k] = 1 / deviation;
    n.slope.at[k] /= deviation;
  }
  return n;
}

// g = dy · act′(z); x is loaded by the caller, who has it anyway.
template <int kN, typename T>
__device__ Vector<float, kN> gradient(const BackwardArgs<T>& a, const Channels<kN>& n, const Vector<float, kN>& x,
                                      int64_t at) {
  Vector<float, kN> g = load_floats<kN>(a.dy + at, a.aligned);
  if (a.activation == Activation::none) return g;
  if (a.mask != nullptr) {
    const unsigned passed = load_mask<kN>(a.mask, at, a.channels, a.aligned);
    for (int k = 0; k < kN; ++k) g.at[k] = (passed >> k & 1) != 0 ? g.at[k] : 0.0f;
    return g;
  }
  for (int k = 0; k < kN; ++k) {
    const float z = fmaf(x.at[k] - n.mean.at[k], n.slope.at[k], n.bias.at[k]);
    g.at[k] = activation_gradient(a.activation, a.activation == Activation::sigmoid ? sigmoid(z) : z, g.at[k]);
  }
  return g;
}

template <typename T, int kN>
__global__ __launch_bounds__(kThreads) void batch_norm_gradient_sums_kernel(BackwardArgs<T> a) {
  const int64_t c = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kN;
  const int64_t first = blockIdx.y * a.slab_rows, last = first + a.slab_rows < a.rows ? first + a.slab_rows : a.rows;
  GradientSums sums[kN];
  if (c < a.channels) {
    const Channels<kN> n = channels_of<kN>(a, c);
    for (int64_t row = first + threadIdx.y; row < last; row += blockDim.y) {
      const int64_t at = row * a.channels + c;
      const Vector<float, kN> x = load_floats<kN>(a.x + at, a.aligned), g = gradient(a, n, x, at);
      for (int k = 0; k < kN; ++k) sums[k].merge({g.at[k], g.at[k] * (x.at[k] - n.mean.at[k]) * n.inv_std.at[k]});
    }
  }
  merge_lanes<GradientSums, kN>(sums);
  if (threadIdx.y == 0 && c < a.channels) store_sums(a.partial, blockIdx.y, c, sums);
}

// dweight, dbias: nullptr if not wanted
__global__ __launch_bounds__(kThreads) void batch_norm_gradients_kernel(Planes partial, Planes whole, float* dweight,
                                                                        float* dbias) {
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
  const Channels<kN> n = channels_of<kN>(a, c);
  Vector<float, kN> shift = {}, tilt = {};
  if (a.batch_statistics) {
    shift = load_vector<kN>(static_cast<const float*>(a.sums.at(0, 0, c)), true);
    tilt = load_vector<kN>(static_cast<const float*>(a.sums.at(1, 0, c)), true);
  }
  for (int k = 0; k < kN; ++k) {
    shift.at[k] /= static_cast<float>(a.rows);
    tilt.at[k] /= static_cast<float>(a.rows);
  }
  const int64_t first = blockIdx.y * a.slab_rows, last = first + a.slab_rows < a.rows ? first + a.slab_rows : a.rows;
  for (int64_t row = first + threadIdx.y; row < last; row += blockDim.y) {
    const int64_t at = row * a.channels + c;
    Vector<float, kN> x = {};
    if (a.needs_x) x = load_floats<kN>(a.x + at, a.aligned);
    const Vector<float, kN> g = gradient(a, n, x, at);
    if (a.dresidual != nullptr) store_floats(a.dresidual + at, g, a.aligned);
    if (a.dx == nullptr) continue;
    Vector<float, kN> dx;
    for (int k = 0; k < kN; ++k) {  // given statistics: shift and tilt are 0, and so is x
      const float along = a.batch_statistics ? (x.at[k] - n.mean.at[k]) * n.inv_std.at[k] * tilt.at[k] : 0.0f;
      dx.at[k] = n.slope.at[k] * (g.at[k] - shift.at[k] - along);
    }
    store_floats(a.dx + at, dx, a.aligned);
  }
}

int64_t backward_workspace(const BatchNormBackwardArgs& a) {
  const Tiling t = tiling_of(a.x);
  return planes_bytes(t.slabs, t.channels) + planes_bytes(1, t.channels);
}

template <typename T>
Status batch_norm_backward(CallContext& call, const BatchNormBackwardArgs& a) {
  const Tiling t = tiling_of(a.x);
  if (call.workspace_bytes < backward_workspace(a)) return Status::invalid_argument;
  auto* workspace = static_cast<float*>(call.workspace);
  const bool remakes_z = a.activation != Activation::none && !a.mask.present();
  BackwardArgs<T> b{.x = a.x.as<T>(),
                    .dy = a.dy.as<T>(),
                    .mask = a.mask.as<uint8_t>(),
                    .weight = a.weight.as<float>(),
                    .bias = remakes_z ? a.bias.as<float>() : nullptr,
                    .mean = a.mean.as<float>(),
                    .var = a.var.as<float>(),
                    .dx = a.dx.as<T>(),
                    .dresidual = a.dresidual.as<T>(),
                    .partial = {workspace, t.slabs, t.channels},
                    .sums = {workspace + 2 * t.slabs * t.channels, 1, t.channels},
                    .rows = t.rows,
                    .channels = t.channels,
                    .slab_rows = t.slab_rows,
                    .eps = static_cast<float>(a.eps),
                    .batch_statistics = a.batch_statistics != 0,
                    .needs_x = remakes_z || (a.dx.present() && a.batch_statistics != 0),
                    .activation = a.activation};
  b.aligned = all_aligned(b.x, b.dy, b.dx, b.dresidual, b.mask);
  b.vectors_aligned = all_aligned(b.weight, b.bias, b.mean, b.var);
  constexpr int kN = kPerVector<T>;
  const bool wide = t.per_thread == kN;
  call.kernel = "batch_norm_backward";
  if (a.dweight.present() || a.dbias.present() || (a.dx.present() && b.batch_statistics)) {
    const LaunchConfig config{"batch_norm_gradient_sums", t.grid(), t.block()};
    Status status = wide ? launch(call, config, batch_norm_gradient_sums_kernel<T, kN>, b)
                         : launch(call, config, batch_norm_gradient_sums_kernel<T, 1>, b);
    if (status != Status::ok) return status;
    status = launch(call, merge_config("batch_norm_gradients", t.channels), batch_norm_gradients_kernel, b.partial,
                    b.sums, a.dweight.as<float>(), a.dbias.as<float>());
    if (status != Status::ok) return status;
  }
  if (!a.dx.present() && !a.dresidual.present()) return Status::ok;
  const LaunchConfig config{"batch_norm_dx", t.grid(), t.block()};
  return wide ? launch(call, config, batch_norm_dx_kernel<T, kN>, b)
              : launch(call, config, batch_norm_dx_kernel<T, 1>, b);
}

void enter_batch_norm_backward(KernelTable& table) {
  enter<BatchNormBackwardArgs, batch_norm_backward<float>, batch_norm_backward<__nv_bfloat16>>(table);
  enter_workspace<BatchNormBackwardArgs, backward_workspace>(table);
}

}  // namespace graft::cuda
