// Softmax over the last axis, and the cross-entropy of it with class indices; the formulas stand in
// contract/primitives.h. One warp a row: lane l owns the classes l, l + 32, …, so that a warp reads neighbouring
// elements, 128 bytes of floats at a time, wherever a row begins.
//
// Memory traffic, n = rows · classes elements: softmax 1R + 1W, its backward 2R + 1W; cross-entropy 1R, its backward
// 1R + 1W, each with the targets on top, 12 bytes a row. That holds up to 1,024 classes, which a lane's registers hold;
// longer rows are read once more for each pass over them (the maximum, the sum, the result), from L2 while the rows at
// work fit into it.
//
// Cross-entropy starts with what all rows share, W = Σ_i w[t_i] and Σ_k w[k]: two blocks of one kernel. Then each row
// writes its loss · rows / W, and the loss is the mean of these, by reduce: NaN without rows, as it must be.
#include <cmath>

#include "kernels/cuda/columns.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/reduction.h"

namespace graft::cuda {

namespace {
constexpr int kWarp = 32, kWarps = kThreads / kWarp;  // warps of a block, each with a row
constexpr int kHeldClasses = 32 * kWarp;              // as many as registers hold
constexpr int64_t kSectorFloats = 8;                  // what memory moves at once
}  // namespace

// f(j, k) for each class k of a lane, its j-th. kHeld: how many a lane has room for, 0: any number, and j is 0.
template <int kHeld, typename F>
__device__ void each_class(int64_t classes, F f) {
  if constexpr (kHeld > 0) {
#pragma unroll
    for (int j = 0; j < kHeld; ++j)
      if (const int k = static_cast<int>(threadIdx.x) + j * kWarp; k < classes) f(j, int64_t{k});
  } else {
#pragma unroll 2
    for (int64_t k = threadIdx.x; k < classes; k += kWarp) f(0, k);
  }
}

// What a lane owns of a row, held in registers or read again each time.
template <int kHeld, typename T>
struct Values {
  const T* row;
  float held[kHeld > 0 ? kHeld : 1];
  __device__ Values(const T* first, int64_t classes) : row(first), held{} {
    if constexpr (kHeld > 0) each_class<kHeld>(classes, [&](int j, int64_t k) { held[j] = load_float(row + k); });
  }
  __device__ float at(int j, int64_t k) const {
    if constexpr (kHeld > 0)
      return held[j];
    else
      return load_float(row + k);
  }
};

// f of all lanes' values, the same bits in each of them: in every step both partners merge the same two.
template <typename F>
__device__ float merge_warp(float value, F f) {
  for (int other = kWarp / 2; other > 0; other /= 2) value = f(value, __shfl_xor_sync(~0u, value, other));
  return value;
}
__device__ inline float warp_sum(float value) {
  return merge_warp(value, [](float a, float b) { return a + b; });
}

// e^(z[k] − largest) / sum is the softmax. NaN, +∞ and nothing but −∞ all make the sum NaN.
struct Denominator {
  float largest, sum;
};
template <int kHeld, typename T>
__device__ Denominator denominator(const Values<kHeld, T>& z, int64_t classes) {
  float largest = -INFINITY, sum = 0;
  each_class<kHeld>(classes, [&](int j, int64_t k) { largest = z.at(j, k) > largest ? z.at(j, k) : largest; });
  largest = merge_warp(largest, [](float a, float b) { return a > b ? a : b; });
  each_class<kHeld>(classes, [&](int j, int64_t k) { sum += expf(z.at(j, k) - largest); });
  return {largest, warp_sum(sum)};
}

__device__ inline int64_t row_of_warp() { return static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.y; }
LaunchConfig rows_config(const char* name, int64_t rows) {
  return {name, dim3(static_cast<unsigned>(ceil_div(rows, kWarps))), dim3(kWarp, kWarps)};
}

// ---- softmax

template <typename T, int kHeld>
__global__ __launch_bounds__(kThreads) void softmax_kernel(const T* x, T* y, int64_t rows, int64_t classes) {
  const int64_t row = row_of_warp();
  if (row >= rows) return;
  const Values<kHeld, T> values(x + row * classes, classes);
  const Denominator d = denominator(values, classes);
  each_class<kHeld>(classes, [&](int j, int64_t k) {
    store_float(y + row * classes + k, expf(values.at(j, k) - d.largest) / d.sum);
  });
}

// dx = y · (dy − Σ y·dy)
template <typename T, int kHeld>
__global__ __launch_bounds__(kThreads) void softmax_backward_kernel(const T* y, const T* dy, T* dx, int64_t rows,
                                                                    int64_t classes) {
  const int64_t row = row_of_warp();
  if (row >= rows) return;
  const Values<kHeld, T> values(y + row * classes, classes), gradients(dy + row * classes, classes);
  float sum = 0;
  each_class<kHeld>(classes, [&](int j, int64_t k) { sum += values.at(j, k) * gradients.at(j, k); });
  sum = warp_sum(sum);
  each_class<kHeld>(classes, [&](int j, int64_t k) {
    store_float(dx + row * classes + k, values.at(j, k) * (gradients.at(j, k) - sum));
  });
}

// The kernel for so many classes, on so many rows.
template <typename Kernel, typename... Arguments>
Status launch_rows(CallContext& call, const char* name, int64_t rows, int64_t classes, Kernel held, Kernel streamed,
                   const Arguments&... arguments) {
  return launch(call, rows_config(name, rows), classes <= kHeldClasses ? held : streamed, arguments...);
}

template <typename T>
Status softmax(CallContext& call, const SoftmaxArgs& a) {
  const int64_t n = a.x.numel(), classes = a.x.shape.channels();
  if (n == 0) return call.kernel = "softmax", Status::ok;
  return launch_rows(call, "softmax", n / classes, classes, softmax_kernel<T, kHeldClasses / kWarp>,
                     softmax_kernel<T, 0>, a.x.as<T>(), a.y.as<T>(), n / classes, classes);
}
template <typename T>
Status softmax_backward(CallContext& call, const SoftmaxBackwardArgs& a) {
  const int64_t n = a.y.numel(), classes = a.y.shape.channels();
  if (n == 0) return call.kernel = "softmax_backward", Status::ok;
  return launch_rows(call, "softmax_backward", n / classes, classes, softmax_backward_kernel<T, kHeldClasses / kWarp>,
                     softmax_backward_kernel<T, 0>, a.y.as<T>(), a.dy.as<T>(), a.dx.as<T>(), n / classes, classes);
}

// ---- cross-entropy

struct Labels {
  const int64_t* targets;
  const float* class_weights;  // nullptr: 1 each
  int64_t rows, classes;
  float on_target, share;  // 1 − ε and ε / K; share 0: the sum over k is left out

  __device__ float weight(int64_t k) const { return class_weights != nullptr ? load(class_weights + k) : 1.0f; }
  // NaN if it is no class
  __device__ float weight_of_target(int64_t t) const { return t >= 0 && t < classes ? weight(t) : NAN; }
};

// Block 0: totals[0] = W = Σ_i w[t_i]. Block 1, with smoothing alone: totals[1] = Σ_k w[k].
__global__ __launch_bounds__(kThreads) void cross_entropy_weights_kernel(Labels l, float* totals) {
  const bool of_targets = blockIdx.x == 0;
  const int64_t n = of_targets ? l.rows : l.classes;
  Sum sums[1];
  for (int64_t i = threadIdx.y; i < n; i += blockDim.y)
    sums[0].merge({of_targets ? l.weight_of_target(load(l.targets + i)) : l.weight(i)});
  merge_lanes<Sum, 1>(sums);
  if (threadIdx.y == 0) store(totals + blockIdx.x, sums[0].value);
}

// losses[i] = rows / W · ((1 − ε)·w[t]·(lse − z[t]) + ε/K Σ_k w[k]·(lse − z[k])), lse − z = (largest − z) + log sum
template <typename T, int kHeld>
__global__ __launch_bounds__(kThreads) void cross_entropy_rows_kernel(const T* logits, Labels l, const float* totals,
                                                                      float* losses) {
  const int64_t row = row_of_warp();
  if (row >= l.rows) return;
  const T* z = logits + row * l.classes;
  const Values<kHeld, T> values(z, l.classes);
  const Denominator d = denominator(values, l.classes);
  const float log_sum = logf(d.sum);
  float smooth = 0;
  if (l.share > 0) {
    each_class<kHeld>(l.classes,
                      [&](int j, int64_t k) { smooth += l.weight(k) * ((d.largest - values.at(j, k)) + log_sum); });
    smooth = warp_sum(smooth) * l.share;
  }
  if (threadIdx.x != 0) return;
  const int64_t t = load(l.targets + row);
  float loss = NAN;
  if (t >= 0 && t < l.classes) loss = l.on_target * l.weight(t) * ((d.largest - load_float(z + t)) + log_sum) + smooth;
  store(losses + row, loss * (static_cast<float>(l.rows) / load(totals)));
}

// dlogits[k] = dloss / W · (((1 − ε)·w[t] + ε/K Σ_j w[j])·p[k] − (1 − ε)·w[t]·[k = t] − ε/K·w[k])
template <typename T, int kHeld>
__global__ __launch_bounds__(kThreads) void cross_entropy_backward_kernel(const T* logits, Labels l,
                                                                          const float* totals, const float* dloss,
                                                                          T* dlogits) {
  const int64_t row = row_of_warp();
  if (row >= l.rows) return;
  const Values<kHeld, T> values(logits + row * l.classes, l.classes);
  const Denominator d = denominator(values, l.classes);
  const int64_t t = load(l.targets + row);
  const float scale = load(dloss) / load(totals), on_target = l.on_target * l.weight_of_target(t);
  const float all = l.share > 0 ? on_target + l.share * load(totals + 1) : on_target;
  each_class<kHeld>(l.classes, [&](int j, int64_t k) {
    float slope = all * (expf(values.at(j, k) - d.largest) / d.sum);
    if (k == t) slope -= on_target;
    if (l.share > 0) slope -= l.share * l.weight(k);
    store_float(dlogits + row * l.classes + k, scale * slope);
  });
}

template <typename Args>
Labels labels_of(const Args& a) {
  const int64_t rows = a.logits.shape[0], classes = a.logits.shape[1];
  return {.targets = a.targets.template as<int64_t>(),
          .class_weights = a.class_weights.template as<float>(),
          .rows = rows,
          .classes = classes,
          .on_target = static_cast<float>(1 - a.label_smoothing),
          .share = classes > 0 ? static_cast<float>(a.label_smoothing / static_cast<double>(classes)) : 0.0f};
}

// The workspace: the two totals, the rows' losses, what reduce needs. Each begins with a sector: a block's losses are
// one.
constexpr int64_t kTotalsBytes = kSectorFloats * static_cast<int64_t>(sizeof(float));
constexpr int64_t losses_bytes(int64_t rows) { return ceil_div(rows, kSectorFloats) * kTotalsBytes; }

ReduceArgs mean_of(float* losses, int64_t rows, const TensorView& loss) {
  return {.x = {losses, {rows}, DType::f32}, .y = loss, .reduction = Reduction::mean, .count = rows};
}
int64_t cross_entropy_workspace(const SoftmaxCrossEntropyArgs& a) {
  const int64_t rows = a.logits.shape[0];
  return kTotalsBytes + losses_bytes(rows) + reduce_workspace(mean_of(nullptr, rows, a.loss));
}
int64_t cross_entropy_backward_workspace(const SoftmaxCrossEntropyBackwardArgs&) { return kTotalsBytes; }

Status launch_weights(CallContext& call, const char* name, const Labels& l, float* totals) {
  return launch(call, {name, dim3(l.share > 0 ? 2 : 1), dim3(1, kThreads)}, cross_entropy_weights_kernel, l, totals);
}

template <typename T>
Status softmax_cross_entropy(CallContext& call, const SoftmaxCrossEntropyArgs& a) {
  if (call.workspace_bytes < cross_entropy_workspace(a)) return Status::invalid_argument;
  const char* name = "softmax_cross_entropy";
  const Labels l = labels_of(a);
  auto *totals = static_cast<float*>(call.workspace), *losses = totals + kSectorFloats;
  Status status = launch_weights(call, name, l, totals);
  if (status != Status::ok) return status;
  status = launch_rows(call, name, l.rows, l.classes, cross_entropy_rows_kernel<T, kHeldClasses / kWarp>,
                       cross_entropy_rows_kernel<T, 0>, a.logits.as<T>(), l, totals, losses);
  if (status != Status::ok) return status;
  CallContext rest = call;
  const int64_t used = kTotalsBytes + losses_bytes(l.rows);
  rest.workspace = static_cast<char*>(call.workspace) + used;
  rest.workspace_bytes = call.workspace_bytes - used;
  return reduce(rest, mean_of(losses, l.rows, a.loss));
}

template <typename T>
Status softmax_cross_entropy_backward(CallContext& call, const SoftmaxCrossEntropyBackwardArgs& a) {
  const char* name = call.kernel = "softmax_cross_entropy_backward";
  if (a.logits.numel() == 0) return Status::ok;
  if (call.workspace_bytes < kTotalsBytes) return Status::invalid_argument;
  const Labels l = labels_of(a);
  auto* totals = static_cast<float*>(call.workspace);
  if (const Status status = launch_weights(call, name, l, totals); status != Status::ok) return status;
  return launch_rows(call, name, l.rows, l.classes, cross_entropy_backward_kernel<T, kHeldClasses / kWarp>,
                     cross_entropy_backward_kernel<T, 0>, a.logits.as<T>(), l, totals, a.dloss.as<float>(),
                     a.dlogits.as<T>());
}

void enter_softmax(KernelTable& table) {
  enter<SoftmaxArgs, softmax<float>, softmax<__nv_bfloat16>, softmax<__half>>(table);
  enter<SoftmaxBackwardArgs, softmax_backward<float>, softmax_backward<__nv_bfloat16>>(table);
  enter<SoftmaxCrossEntropyArgs, softmax_cross_entropy<float>, softmax_cross_entropy<__nv_bfloat16>>(table);
  enter_workspace<SoftmaxCrossEntropyArgs, cross_entropy_workspace>(table);
  enter<SoftmaxCrossEntropyBackwardArgs, softmax_cross_entropy_backward<float>,
        softmax_cross_entropy_backward<__nv_bfloat16>>(table);
  enter_workspace<SoftmaxCrossEntropyBackwardArgs, cross_entropy_backward_workspace>(table);
}

}  // namespace graft::cuda
