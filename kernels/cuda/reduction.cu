// Reductions of the middle axis, and their backward. x is `outer` matrices [count, inner], each summed down its
// columns:
//   reduce           y[o,i] = Σ_r x[o,r,i], that divided by count, or max_r x[o,r,i]
//   multiply_reduce  ds[o,i] = Σ_r x[o,r,i] · dy[o,r,i]
//   broadcast        y[o,r,i] = x[o,i] · factor
//
// Memory traffic, n = outer · count · inner elements: reduce 1R, multiply_reduce 2R, broadcast 1W; the small tensor
// comes on top. Where the columns alone do not fill the machine their rows are cut into slabs, whose sums (1/32 of x at
// most) are written and met in a second kernel; otherwise one kernel does it.
//
// A single column (inner 1) whose length divides by a vector's is read as that many neighbouring ones, which the thread
// adds up at the end: 16 bytes an access there too. Short columns leave lanes free; a block then takes several
// matrices.
#include <cmath>

#include "kernels/cuda/columns.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/reduction.h"

namespace graft::cuda {

namespace {
constexpr int kFewestLanes = 4;          // 64 matrices a block then, CUDA's limit along z
constexpr int64_t kEnoughBlocks = 1024;  // more of them do not need slabs
}  // namespace

// NaN wins: it is taken in, and nothing is larger than it.
struct Max {
  float value = -INFINITY;
  __device__ void merge(const Max& other) {
    if (other.value > value || std::isnan(other.value)) value = other.value;
  }
};

// From what was merged to the result. The mean and the maximum of nothing are NaN.
struct Finish {
  Reduction reduction;
  int64_t count;
  __device__ float operator()(float value) const {
    if (reduction == Reduction::mean) return value / static_cast<float>(count);
    return reduction == Reduction::max && count == 0 ? NAN : value;
  }
};

template <typename T, typename Y>
struct MatricesArgs {
  const T *x, *dy;  // dy: nullptr, or what x is multiplied by
  Y* y;             // [outer, width], or [outer] if folded; one such for each slab
  int64_t outer, rows, width, slab_rows, tiles;
  bool fold;  // the columns of a matrix are one
  bool aligned, y_aligned;
  Finish finish;
};

template <typename Merged, typename T, typename Y, int kN>
__global__ __launch_bounds__(kThreads) void reduce_kernel(MatricesArgs<T, Y> a) {
  const int64_t o = blockIdx.x / a.tiles * blockDim.z + threadIdx.z;
  const int64_t c = (blockIdx.x % a.tiles * blockDim.x + threadIdx.x) * kN;
  const int64_t first = blockIdx.y * a.slab_rows, last = first + a.slab_rows < a.rows ? first + a.slab_rows : a.rows;
  const bool inside = o < a.outer && c < a.width;
  Merged sums[kN];
  if (inside) {
#pragma unroll kUnroll
    for (int64_t row = first + threadIdx.y; row < last; row += blockDim.y) {
      const int64_t at = (o * a.rows + row) * a.width + c;
      Vector<float, kN> x = load_floats<kN>(a.x + at, a.aligned);
      if (a.dy != nullptr) {
        const Vector<float, kN> dy = load_floats<kN>(a.dy + at, a.aligned);
        for (int k = 0; k < kN; ++k) x.at[k] *= dy.at[k];
      }
      for (int k = 0; k < kN; ++k) sums[k].merge({x.at[k]});
    }
  }
  if (a.fold)
    for (int k = 1; k < kN; ++k) sums[0].merge(sums[k]);
  merge_lanes<Merged, kN>(sums);
  if (threadIdx.y != 0 || !inside) return;
  const int64_t slab_and_outer = blockIdx.y * a.outer + o;
  if (a.fold) {
    store_float(a.y + slab_and_outer, a.finish(sums[0].value));
  } else {
    Vector<float, kN> y;
    for (int k = 0; k < kN; ++k) y.at[k] = a.finish(sums[k].value);
    store_floats(a.y + slab_and_outer * a.width + c, y, a.y_aligned);
  }
}

template <typename Merged, typename Y>
__global__ __launch_bounds__(kThreads) void reduce_slabs_kernel(Planes partial, Y* y, Finish finish) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  Merged sums;
  if (merge_slabs(
          partial, c, [&](int64_t slab) { return Merged{load(partial.at(0, slab, c))}; }, &sums))
    store_float(y + c, finish(sums.value));
}

namespace {

struct Matrices {
  int64_t outer = 1, count = 1, inner = 1;
};

struct Cut {
  Tiling t;  // of each matrix
  int64_t groups = 0;
  int together = 1;  // matrices of a block
  bool fold = false;
  int64_t slabs() const { return t.slabs > 0 ? t.slabs : 1; }  // the sum of nothing is written too
  int64_t workspace(const Matrices& m) const {
    return slabs() > 1 ? slabs() * m.outer * m.inner * static_cast<int64_t>(sizeof(float)) : 0;
  }
};

Cut cut(DType dtype, const Matrices& m) {
  Cut c;
  const int kN = 16 / static_cast<int>(size_of(dtype));
  c.fold = m.inner == 1 && m.count % kN == 0;
  Tiling& t = c.t = c.fold ? tiling_of(dtype, m.count / kN, kN) : tiling_of(dtype, m.count, m.inner);
  while (t.lanes > kFewestLanes && t.lanes / 2 >= t.rows) t.lanes /= 2;
  c.together = kThreads / (t.columns * t.lanes);
  while (c.together > 1 && c.together / 2 >= m.outer) c.together /= 2;
  c.groups = ceil_div(m.outer, c.together);
  const int64_t blocks = t.tiles * c.groups, slabs = blocks > 0 ? kEnoughBlocks / blocks : 1;
  t.cut_rows(slabs > kMaxSlabs ? kMaxSlabs : slabs > 1 ? slabs : 1);
  return c;
}

// The first kernel: sums of a slab, or of all.
template <typename Merged, typename T, typename Y>
Status reduce_slabs_of(CallContext& call, const char* name, const T* x, const T* dy, Y* y, const Matrices& m,
                       const Cut& c, const Finish& finish) {
  const MatricesArgs<T, Y> a{.x = x,
                             .dy = dy,
                             .y = y,
                             .outer = m.outer,
                             .rows = c.t.rows,
                             .width = c.t.channels,
                             .slab_rows = c.t.slab_rows,
                             .tiles = c.t.tiles,
                             .fold = c.fold,
                             .aligned = all_aligned(x, dy),
                             .y_aligned = all_aligned(y),
                             .finish = finish};
  const LaunchConfig config{
      name, dim3(static_cast<unsigned>(c.t.tiles * c.groups), static_cast<unsigned>(c.slabs())),
      dim3(static_cast<unsigned>(c.t.columns), static_cast<unsigned>(c.t.lanes), static_cast<unsigned>(c.together))};
  return c.t.per_thread == 1 ? launch(call, config, reduce_kernel<Merged, T, Y, 1>, a)
                             : launch(call, config, reduce_kernel<Merged, T, Y, kPerVector<T>>, a);
}

template <typename Merged, typename T, typename Y>
Status reduce_matrices(CallContext& call, const char* name, const T* x, const T* dy, Y* y, const Matrices& m,
                       Reduction reduction) {
  const Cut c = cut(dtype_of<T>, m);
  if (call.workspace_bytes < c.workspace(m)) return Status::invalid_argument;
  const Finish finish{reduction, m.count};
  if (c.slabs() == 1) return reduce_slabs_of<Merged>(call, name, x, dy, y, m, c, finish);
  auto* partial = static_cast<float*>(call.workspace);
  const Status status = reduce_slabs_of<Merged>(call, name, x, dy, partial, m, c, {Reduction::sum, 0});
  if (status != Status::ok) return status;
  const Planes planes{partial, c.slabs(), m.outer * m.inner};
  return launch(call, merge_config(name, planes.channels), reduce_slabs_kernel<Merged, Y>, planes, y, finish);
}

template <typename T, typename Y>
Status reduce_to(CallContext& call, const ReduceArgs& a) {
  const Matrices m{a.outer, a.count, a.inner};
  const auto run = a.reduction == Reduction::max ? reduce_matrices<Max, T, Y> : reduce_matrices<Sum, T, Y>;
  return run(call, "reduce", a.x.as<T>(), nullptr, a.y.as<Y>(), m, a.reduction);
}

}  // namespace

int64_t reduce_workspace(const ReduceArgs& a) {
  const Matrices m{a.outer, a.count, a.inner};
  return cut(a.x.dtype, m).workspace(m);
}
template <typename T>
Status reduce_any(CallContext& call, const ReduceArgs& a) {
  return a.y.dtype == a.x.dtype ? reduce_to<T, T>(call, a) : reduce_to<T, float>(call, a);
}
Status reduce(CallContext& call, const ReduceArgs& a) { return reduce_to<float, float>(call, a); }

int64_t multiply_reduce_workspace(const MultiplyReduceArgs& a) {
  const Matrices m{a.outer, a.repeat, a.inner};
  return cut(a.x.dtype, m).workspace(m);
}
template <typename T>
Status multiply_reduce(CallContext& call, const MultiplyReduceArgs& a) {
  return reduce_matrices<Sum>(call, "multiply_reduce", a.x.as<T>(), a.dy.as<T>(), a.ds.as<T>(),
                              {a.outer, a.repeat, a.inner}, Reduction::sum);
}

// ---- broadcast

template <typename T>
struct BroadcastKernelArgs {
  const T* x;
  T* y;
  int64_t n, plane, inner;  // plane = count · inner
  double factor;            // rounded once: the product of a float and a double
  bool aligned;
};

// A vector lies in one row of `inner` elements when kN divides inner; else a thread makes one element.
template <typename T, int kN>
__global__ __launch_bounds__(kThreads) void broadcast_kernel(BroadcastKernelArgs<T> a) {
  const int64_t begin = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kN;
  if (begin >= a.n) return;
  const int64_t o = begin / a.plane, i = begin % a.inner;
  Vector<float, kN> v = load_floats<kN>(a.x + o * a.inner + i, a.aligned);
  for (int k = 0; k < kN; ++k) v.at[k] = static_cast<float>(v.at[k] * a.factor);
  store_floats(a.y + begin, v, a.aligned);
}

template <typename T>
Status broadcast(CallContext& call, const BroadcastArgs& a) {
  const T* x = a.x.as<T>();
  T* y = a.y.as<T>();
  constexpr int kN = kPerVector<T>;
  const bool wide = a.inner % kN == 0;
  const BroadcastKernelArgs<T> b{x, y, a.y.numel(), a.count * a.inner, a.inner, a.factor, all_aligned(x, y)};
  const LaunchConfig config{"broadcast", dim3(static_cast<unsigned>(ceil_div(b.n, kThreads * (wide ? kN : 1)))),
                            dim3(kThreads)};
  return wide ? launch(call, config, broadcast_kernel<T, kN>, b) : launch(call, config, broadcast_kernel<T, 1>, b);
}

void enter_reduction(KernelTable& table) {
  enter<ReduceArgs, reduce_any<float>, reduce_any<__nv_bfloat16>, reduce_any<__half>>(table);
  enter_workspace<ReduceArgs, reduce_workspace>(table);
  enter<MultiplyReduceArgs, multiply_reduce<float>, multiply_reduce<__nv_bfloat16>>(table);
  enter_workspace<MultiplyReduceArgs, multiply_reduce_workspace>(table);
  enter<BroadcastArgs, broadcast<float>, broadcast<__nv_bfloat16>>(table);
}

}  // namespace graft::cuda
