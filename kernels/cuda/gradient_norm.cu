// The global norm of a gradient and the factor that clips it (Pascanu et al. 2013, algorithm 1):
//   norm = √Σ gradient²    factor = norm > max_norm ? max_norm / norm : 1
// A norm that is not finite raises the flag, so a step that clips needs no check for finite gradients beside this.
//
// Memory traffic: 1R, 16 bytes an access, in at most 1,024 blocks, which fill the largest card once. Each leaves one
// sum; a second kernel adds them up, 8 kB from L2. All in an order that the length alone decides.
//
// Squares and sums are f64. The square of a float is exact there and neither overflows nor vanishes, so the norm is
// finite exactly when every element is, and 25 million elements lose nothing that a float shows. In f32 a gradient of
// 2e19 would be taken for infinite. It costs no time: for 16 bytes 4 conversions and as many multiply-adds, where an
// A100 does 19 and 38 while it reads them.
#include <cmath>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/memory.h"

namespace graft::cuda {

namespace {
constexpr int kThreads = 256, kN = kPerVector<float>;
constexpr int64_t kUnroll = 4, kMostBlocks = 1024;

int64_t blocks_of(int64_t n) {
  const int64_t wanted = ceil_div(n, kThreads * kN * kUnroll);
  return wanted < kMostBlocks ? wanted : kMostBlocks;
}
}  // namespace

// The sum over all threads of a block, for thread 0: thread t takes in t + half, a fixed order.
__device__ inline double sum_of_block(double mine) {
  GRAFT_SHARED(double, sums, [kThreads]);
  sums[threadIdx.x] = mine;
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] = mine += sums[threadIdx.x + half];
  }
  return mine;
}

__global__ __launch_bounds__(kThreads) void sum_of_squares_kernel(const float* x, int64_t n, double* partial,
                                                                  bool aligned) {
  double sums[kN] = {};
  const int64_t stride = int64_t{gridDim.x} * kThreads * kN;
#pragma unroll 4
  for (int64_t i = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kN; i < n; i += stride) {
    if (i + kN <= n) {
      const Vector<float, kN> v = load_vector<kN>(x + i, aligned);
      for (int k = 0; k < kN; ++k) sums[k] = fma(static_cast<double>(v.at[k]), static_cast<double>(v.at[k]), sums[k]);
    } else {
      for (int64_t k = i; k < n; ++k) {
        const double v = load(x + k);
        sums[0] = fma(v, v, sums[0]);
      }
    }
  }
  const double sum = sum_of_block((sums[0] + sums[1]) + (sums[2] + sums[3]));
  if (threadIdx.x == 0) store(partial + blockIdx.x, sum);
}

// Block 0 stores the norm, block 1 the factor.
__global__ __launch_bounds__(kThreads) void clip_factor_kernel(const double* partial, int64_t count, double max_norm,
                                                               float* norm_out, float* factor, int64_t* flag) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) sum += load(partial + i);
  const double norm = sqrt(sum_of_block(sum));
  if (threadIdx.x != 0) return;
  const bool finite = std::isfinite(norm);
  if (blockIdx.x == 1) {
    store(factor, finite && norm > max_norm ? static_cast<float>(max_norm / norm) : 1.0f);
  } else {
    store(norm_out, static_cast<float>(norm));
    if (!finite && flag != nullptr) store(flag, int64_t{1});
  }
}

int64_t clip_factor_workspace(const ClipFactorArgs& a) {
  return blocks_of(a.gradient.numel()) * static_cast<int64_t>(sizeof(double));
}

Status clip_factor(CallContext& call, const ClipFactorArgs& a) {
  if (call.workspace_bytes < clip_factor_workspace(a)) return Status::invalid_argument;
  const auto* x = a.gradient.as<float>();
  auto* partial = static_cast<double*>(call.workspace);
  const int64_t blocks = blocks_of(a.gradient.numel());
  const Status status = launch(call, {"sum_of_squares", dim3(static_cast<unsigned>(blocks)), dim3(kThreads)},
                               sum_of_squares_kernel, x, a.gradient.numel(), partial, all_aligned(x));
  if (status != Status::ok) return status;
  return launch(call, {"clip_factor", dim3(2), dim3(kThreads)}, clip_factor_kernel, partial, blocks, a.max_norm,
                a.norm.as<float>(), a.factor.as<float>(), a.flag.as<int64_t>());
}

void enter_gradient_norm(KernelTable& table) {
  enter<ClipFactorArgs, clip_factor>(table);
  enter_workspace<ClipFactorArgs, clip_factor_workspace>(table);
}

}  // namespace graft::cuda
