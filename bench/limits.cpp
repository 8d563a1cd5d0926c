#include "bench/limits.h"

#include <immintrin.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/cache_sweep.h"
#include "core/tensor.h"

namespace graft::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Runs work(thread) on all threads; seconds until the last is done.
template <typename Work>
double on_threads(int threads, Work work) {
  const auto begin = Clock::now();
  std::vector<std::thread> pool;
  for (int t = 1; t < threads; ++t) pool.emplace_back(work, t);
  work(0);
  for (std::thread& thread : pool) thread.join();
  return seconds_since(begin);
}

constexpr int kRounds = 4'000'000, kChains = 12;  // independent chains hide the latency of an FMA

volatile float g_sink;  // what is computed must seem to be used

#define GRAFT_FMA_LOOP(NAME, TARGET, VECTOR, SET, FMA)                                                 \
  __attribute__((target(TARGET))) double NAME() {                                                      \
    constexpr size_t lanes = sizeof(VECTOR) / sizeof(float);                                           \
    VECTOR sums[kChains], factor = SET(0.999999f), term = SET(1e-6f);                                  \
    for (VECTOR & sum : sums) sum = SET(1.0f);                                                         \
    for (int i = 0; i < kRounds; ++i)                                                                  \
      _Pragma("GCC unroll 12") for (int c = 0; c < kChains; ++c) sums[c] = FMA(sums[c], factor, term); \
    float total = 0;                                                                                   \
    for (const VECTOR& sum : sums) total += reinterpret_cast<const float*>(&sum)[0];                   \
    g_sink = total;                                                                                    \
    return 2.0 * kRounds * kChains * static_cast<double>(lanes);                                       \
  }
GRAFT_FMA_LOOP(fma_avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps)
GRAFT_FMA_LOOP(fma_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps)
#undef GRAFT_FMA_LOOP

double multiply_add_sse() {
  __m128 sums[kChains];
  const __m128 factor = _mm_set1_ps(0.999999f), term = _mm_set1_ps(1e-6f);
  for (__m128& sum : sums) sum = _mm_set1_ps(1);
  for (int i = 0; i < kRounds; ++i)
    for (__m128& sum : sums) sum = _mm_add_ps(_mm_mul_ps(sum, factor), term);
  float total = 0;
  for (const __m128& sum : sums) total += _mm_cvtss_f32(sum);
  g_sink = total;
  return 2.0 * kRounds * kChains * 4;
}

double one_peak() {
  if (__builtin_cpu_supports("avx512f")) return fma_avx512();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return fma_avx2();
  return multiply_add_sse();
}

// Of each of three arrays.
size_t array_bytes() {
  const int64_t memory = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  return static_cast<size_t>(std::clamp(last_level_cache_bytes() / 2, int64_t{64} << 20, memory / 8));
}

// The shortest of a few rounds of `work`, in seconds.
template <typename Work>
double fastest(Device& device, Work work) {
  double best = 0;
  for (int round = 0; round < 6; ++round) {
    device.synchronize();
    const auto begin = Clock::now();
    work();
    device.synchronize();
    const double seconds = seconds_since(begin);
    if (round == 1 || (round > 1 && seconds < best)) best = seconds;
  }
  return best;
}

Limits measure_gpu(const std::shared_ptr<Device>& device, DType dtype) {
  constexpr int64_t kSide = 4096, kBytes = int64_t{1} << 30;
  Limits limits;
  {
    const Tensor a = full(device, {kSide, kSide}, 0.5, dtype), b = full(device, {kSide, kSide}, 0.5, dtype);
    const Tensor y = empty(device, {kSide, kSide}, dtype);
    const MatmulArgs product{.a = a.view(), .b = b.view(), .y = y.view()};
    limits.flops = 2.0 * kSide * kSide * kSide / fastest(*device, [&] { device->run(product); });
  }
  const Tensor from = full(device, {kBytes / 4}, 1), to = empty(device, {kBytes / 4});
  const double seconds = fastest(*device, [&] { device->copy(to.view().data, from.view().data, kBytes); });
  limits.bandwidth = 2.0 * static_cast<double>(kBytes) / seconds;
  return limits;
}

}  // namespace

Limits measure_limits(const std::shared_ptr<Device>& device, int threads, DType dtype) {
  if (std::string_view(device->name()) == "cuda") return measure_gpu(device, dtype);
  return {.flops = peak_flops(threads), .bandwidth = peak_bandwidth(threads)};
}

double peak_flops(int threads) {
  double best = 0;
  std::vector<double> done(static_cast<size_t>(threads));
  for (int attempt = 0; attempt < 12; ++attempt) {
    const double seconds = on_threads(threads, [&](int t) { done[static_cast<size_t>(t)] = one_peak(); });
    double all = 0;
    for (double operations : done) all += operations;
    best = std::max(best, all / seconds);
  }
  return best;
}

double peak_bandwidth(int threads) {
  const size_t elements = array_bytes() / sizeof(float);
  std::vector<float> a(elements, 1), b(elements, 2), c(elements, 0);
  double best = 0;
  for (int attempt = 0; attempt < 8; ++attempt) {
    const double seconds = on_threads(threads, [&](int t) {
      const size_t part = elements / static_cast<size_t>(threads), first = part * static_cast<size_t>(t);
      for (size_t i = first; i < first + part; ++i) c[i] = a[i] + 3.0f * b[i];
    });
    g_sink = c[elements / 2];
    best = std::max(best, 3.0 * sizeof(float) * static_cast<double>(elements) / seconds);
  }
  return best;
}

}  // namespace graft::bench
