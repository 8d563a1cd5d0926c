// Reductions of the middle axis, and their backward. x is `outer` matrices [count, inner], each summed down its
// columns:
//   reduce           y[o,i] = Σ_r x[o,r,i], that divided by count, or max_r x[o,r,i]
//   multiply_reduce  ds[o,i] = Σ_r x[o,r,i] · dy[o,r,i]
//   broadcast        y[o,r,i] = x[o,i] · factor
//
// Memory traffic, n = outer · count · inner floats: reduce 1R, multiply_reduce 2R, broadcast 1W; the small tensor comes
// on top. Where the columns alone do not fill the machine their rows are cut into slabs, whose sums (1/32 of x at most)
// are written and met in a second kernel; otherwise one kernel does it.
//
// A single column (inner 1) whose length 4 divides is read as 4 neighbouring ones, which the thread adds up at the end:
// 16 bytes an access there too. Short columns leave lanes free; a block then takes several matrices.
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

struct MatricesArgs {
  const float *x, *dy;  // dy: nullptr, or what x is multiplied by
  float* y;             // [outer, width], or [outer] if folded; one such for each slab
  int64_t outer, rows, width, slab_rows, tiles;
  bool fold;  // the columns of a matrix are one
  bool aligned, y_aligned;
  Finish finish;
};

template <typename Merged, int kN>
__global__ __launch_bounds__(kThreads) void reduce_kernel(MatricesArgs a) {
  const int64_t o = blockIdx.x / a.tiles * blockDim.z + threadIdx.z;
  const int64_t c = (blockIdx.x % a.tiles * blockDim.x + threadIdx.x) * kN;
  const int64_t first = blockIdx.y * a.slab_rows, last = first + a.slab_rows < a.rows ? first + a.slab_rows : a.rows;
  const bool inside = o < a.outer && c < a.width;
  Merged sums[kN];
  if (inside) {
#pragma unroll kUnroll
    for (int64_t row = first + threadIdx.y; row < last; row += blockDim.y) {
      const int64_t at = (o * a.rows + row) * a.width + c;
      Vector<float, kN> x = load_vector<kN>(a.x + at, a.aligned);
      if (a.dy != nullptr) {
        const Vector<float, kN> dy = load_vector<kN>(a.dy + at, a.aligned);
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
    store(a.y + slab_and_outer, a.finish(sums[0].value));
  } else {
    Vector<float, kN> y;
    for (int k = 0; k < kN; ++k) y.at[k] = a.finish(sums[k].value);
    store_vector(a.y + slab_and_outer * a.width + c, y, a.y_aligned);
  }
}

template <typename Merged>
__global__ __launch_bounds__(kThreads) void reduce_slabs_kernel(Planes partial, float* y, Finish finish) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  Merged sums;
  if (merge_slabs(
          partial, c, [&](int64_t slab) { return Merged{load(partial.at(0, slab, c))}; }, &sums))
    store(y + c, finish(sums.value));
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

Cut cut(const Matrices& m) {
  Cut c;
  constexpr int kN = kPerVector<float>;
  c.fold = m.inner == 1 && m.count % kN == 0;
  Tiling& t = c.t = c.fold ? tiling_of(DType::f32, m.count / kN, kN) : tiling_of(DType::f32, m.count, m.inner);
  while (t.lanes > kFewestLanes && t.lanes / 2 >= t.rows) t.lanes /= 2;
  c.together = kThreads / (t.columns * t.lanes);
  while (c.together > 1 && c.together / 2 >= m.outer) c.together /= 2;
  c.groups = ceil_div(m.outer, c.together);
  const int64_t blocks = t.tiles * c.groups, slabs = blocks > 0 ? kEnoughBlocks / blocks : 1;
  t.cut_rows(slabs > kMaxSlabs ? kMaxSlabs : slabs > 1 ? slabs : 1);
  return c;
}

template <typename Merged>
Status reduce_matrices(CallContext& call, const char* name, const float* x, const float* dy, float* y,
                       const Matrices& m, Reduction reduction) {
  const Cut c = cut(m);
  if (call.workspace_bytes < c.workspace(m)) return Status::invalid_argument;
  const Finish finish{reduction, m.count};
  const bool whole = c.slabs() == 1;
  auto* partial = static_cast<float*>(call.workspace);
  MatricesArgs a{.x = x,
                 .dy = dy,
                 .y = whole ? y : partial,
                 .outer = m.outer,
                 .rows = c.t.rows,
                 .width = c.t.channels,
                 .slab_rows = c.t.slab_rows,
                 .tiles = c.t.tiles,
                 .fold = c.fold,
                 .aligned = all_aligned(x, dy),
                 .y_aligned = false,
                 .finish = whole ? finish : Finish{Reduction::sum, 0}};
  a.y_aligned = all_aligned(a.y);
  const LaunchConfig config{
      name, dim3(static_cast<unsigned>(c.t.tiles * c.groups), static_cast<unsigned>(c.slabs())),
      dim3(static_cast<unsigned>(c.t.columns), static_cast<unsigned>(c.t.lanes), static_cast<unsigned>(c.together))};
  const Status status = c.t.per_thread == 1 ? launch(call, config, reduce_kernel<Merged, 1>, a)
                                            : launch(call, config, reduce_kernel<Merged, kPerVector<float>>, a);
  if (status != Status::ok || whole) return status;
  const Planes planes{partial, c.slabs(), m.outer * m.inner};
  return launch(call, merge_config(name, planes.channels), reduce_slabs_kernel<Merged>, planes, y, finish);
}

}  // namespace

int64_t reduce_workspace(const ReduceArgs& a) {
  const Matrices m{a.outer, a.count, a.inner};
  return cut(m).workspace(m);
}
Status reduce(CallContext& call, const ReduceArgs& a) {
  const auto run = a.reduction == Reduction::max ? reduce_matrices<Max> : reduce_matrices<Sum>;
  return run(call, "reduce", a.x.as<float>(), nullptr, a.y.as<float>(), {a.outer, a.count, a.inner}, a.reduction);
}

int64_t multiply_reduce_workspace(const MultiplyReduceArgs& a) {
  const Matrices m{a.outer, a.repeat, a.inner};
  return cut(m).workspace(m);
}
Status multiply_reduce(CallContext& call, const MultiplyReduceArgs& a) {
  return reduce_matrices<Sum>(call, "multiply_reduce", a.x.as<float>(), a.dy.as<float>(), a.ds.as<float>(),
                              {a.outer, a.repeat, a.inner}, Reduction::sum);
}

// ---- broadcast

struct BroadcastKernelArgs {
  const float* x;
  float* y;
  int64_t n, plane, inner;  // plane = count · inner
  double factor;            // rounded once: the product of a float and a double
  bool aligned;
};

// A vector lies in one row of `inner` elements when kN divides inner; else a thread makes one element.
template <int kN>
__global__ __launch_bounds__(kThreads) void broadcast_kernel(BroadcastKernelArgs a) {
  const int64_t begin = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kN;
  if (begin >= a.n) return;
  const int64_t o = begin / a.plane, i = begin % a.inner;
  Vector<float, kN> v = load_vector<kN>(a.x + o * a.inner + i, a.aligned);
  for (int k = 0; k < kN; ++k) v.at[k] = static_cast<float>(v.at[k] * a.factor);
  store_vector(a.y + begin, v, a.aligned);
}

Status broadcast(CallContext& call, const BroadcastArgs& a) {
  const auto* x = a.x.as<float>();
  auto* y = a.y.as<float>();
  constexpr int kN = kPerVector<float>;
  const bool wide = a.inner % kN == 0;
  const BroadcastKernelArgs b{x, y, a.y.numel(), a.count * a.inner, a.inner, a.factor, all_aligned(x, y)};
  const LaunchConfig config{"broadcast", dim3(static_cast<unsigned>(ceil_div(b.n, kThreads * (wide ? kN : 1)))),
                            dim3(kThreads)};
  return wide ? launch(call, config, broadcast_kernel<kN>, b) : launch(call, config, broadcast_kernel<1>, b);
}

void enter_reduction(KernelTable& table) {
  enter<ReduceArgs, reduce>(table);
  enter_workspace<ReduceArgs, reduce_workspace>(table);
  enter<MultiplyReduceArgs, multiply_reduce>(table);
  enter_workspace<MultiplyReduceArgs, multiply_reduce_workspace>(table);
  enter<BroadcastArgs, broadcast>(table);
}

}  // namespace graft::cuda
