// The functions that CUDA offers inside a kernel, on the host: indices, barriers, warp collectives, atomics,
// intrinsics.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <device_launch_parameters.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>

namespace graft::cuda_on_host {

using Site = std::source_location;

struct Indices {  // of the thread that runs
  uint3 thread, block;
  dim3 block_extent, grid_extent;
};
extern Indices running;

// Read behind the back of the instrumentation: an index is no access to memory.
inline unsigned peek(const unsigned& value) {
#if defined(__x86_64__)
  unsigned copy;
  asm("movl %1, %0" : "=r"(copy) : "m"(value));
  return copy;
#else
  return value;
#endif
}
inline uint3 peek(const uint3& value) { return {peek(value.x), peek(value.y), peek(value.z)}; }
inline dim3 peek(const dim3& value) { return {peek(value.x), peek(value.y), peek(value.z)}; }

void block_barrier(Site);
void warp_fence(unsigned mask, Site);
// Gives 8 bytes, waits for every lane of the mask; the 32 slots hold what each gave until the lane's next collective.
const uint64_t* warp_exchange(unsigned mask, uint64_t bits, Site);
unsigned warp_ballot(unsigned mask, bool vote, Site);
unsigned lane_index();
void note_atomic(void*, size_t bytes, const void* pc);

template <typename T>
uint64_t to_slot(T value) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}
// The value of lane `source`. A lane that the mask leaves out has given nothing: CUDA calls the result undefined, we
// the caller's own.
template <typename T>
T from_slot(const uint64_t* slots, unsigned source, unsigned mask, T own) {
  if (!(mask >> source & 1u)) return own;
  const uint64_t bits = slots[source];
  T value;
  std::memcpy(static_cast<void*>(&value), &bits, sizeof(T));
  return value;
}

}  // namespace graft::cuda_on_host

#define threadIdx (::graft::cuda_on_host::peek(::graft::cuda_on_host::running.thread))
#define blockIdx (::graft::cuda_on_host::peek(::graft::cuda_on_host::running.block))
#define blockDim (::graft::cuda_on_host::peek(::graft::cuda_on_host::running.block_extent))
#define gridDim (::graft::cuda_on_host::peek(::graft::cuda_on_host::running.grid_extent))

using std::max;
using std::min;

// ---- barriers
inline void __syncthreads(graft::cuda_on_host::Site site = graft::cuda_on_host::Site::current()) {
  graft::cuda_on_host::block_barrier(site);
}
inline void __syncwarp(unsigned mask = ~0u, graft::cuda_on_host::Site site = graft::cuda_on_host::Site::current()) {
  graft::cuda_on_host::warp_fence(mask, site);
}
inline void __threadfence() {}
inline void __threadfence_block() {}

// ---- warp collectives (CUDA C++ programming guide, warp shuffle functions); width is a power of two up to 32
template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              graft::cuda_on_host::Site site = graft::cuda_on_host::Site::current()) {
  const uint64_t* slots = graft::cuda_on_host::warp_exchange(mask, graft::cuda_on_host::to_slot(value), site);
  const unsigned group = ~unsigned(width - 1), lane = graft::cuda_on_host::lane_index();
  return graft::cuda_on_host::from_slot(slots, (lane & group) | (unsigned(source) & ~group), mask, value);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int other, int width = 32,
                  graft::cuda_on_host::Site site = graft::cuda_on_host::Site::current()) {
  const uint64_t* slots = graft::cuda_on_host::warp_exchange(mask, graft::cuda_on_host::to_slot(value), site);
  const unsigned lane = graft::cuda_on_host::lane_index(), source = lane ^ unsigned(other);
  return source / unsigned(width) > lane / unsigned(width)
             ? value
             : graft::cuda_on_host::from_slot(slots, source & 31u, mask, value);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   graft::cuda_on_host::Site site = graft::cuda_on_host::Site::current()) {
  const uint64_t* slots = graft::cuda_on_host::warp_exchange(mask, graft::cuda_on_host::to_slot(value), site);
  const unsigned lane = graft::cuda_on_host::lane_index();
  return lane % unsigned(width) + delta >= unsigned(width)
             ? value
             : graft::cuda_on_host::from_slot(slots, lane + delta, mask, value);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 graft::cuda_on_host::Site site = graft::cuda_on_host::Site::current()) {
  const uint64_t* slots = graft::cuda_on_host::warp_exchange(mask, graft::cuda_on_host::to_slot(value), site);
  const unsigned lane = graft::cuda_on_host::lane_index();
  return lane % unsigned(width) < delta ? value : graft::cuda_on_host::from_slot(slots, lane - delta, mask, value);
}
inline unsigned __ballot_sync(unsigned mask, int predicate,
                              graft::cuda_on_host::Site site = graft::cuda_on_host::Site::current()) {
  return graft::cuda_on_host::warp_ballot(mask, predicate != 0, site);
}
inline int __any_sync(unsigned mask, int predicate,
                      graft::cuda_on_host::Site site = graft::cuda_on_host::Site::current()) {
  return __ballot_sync(mask, predicate, site) != 0;
}
inline int __all_sync(unsigned mask, int predicate,
                      graft::cuda_on_host::Site site = graft::cuda_on_host::Site::current()) {
  return __ballot_sync(mask, predicate, site) == mask;
}

// ---- atomics: one access each, which the checkers see as such
#define GRAFT_HOST_ATOMIC(name, expression)                                                        \
  template <typename T>                                                                            \
  __attribute__((noinline, no_sanitize("thread"))) T name(T* address, std::type_identity_t<T> v) { \
    graft::cuda_on_host::note_atomic(address, sizeof(T), __builtin_return_address(0));             \
    const T old = *address;                                                                        \
    *address = static_cast<T>(expression);                                                         \
    return old;                                                                                    \
  }
GRAFT_HOST_ATOMIC(atomicAdd, old + v)
GRAFT_HOST_ATOMIC(atomicSub, old - v)
GRAFT_HOST_ATOMIC(atomicExch, v)
GRAFT_HOST_ATOMIC(atomicMax, old < v ? v : old)
GRAFT_HOST_ATOMIC(atomicMin, v < old ? v : old)
GRAFT_HOST_ATOMIC(atomicAnd, old& v)
GRAFT_HOST_ATOMIC(atomicOr, old | v)
GRAFT_HOST_ATOMIC(atomicXor, old ^ v)
#undef GRAFT_HOST_ATOMIC
template <typename T>
__attribute__((noinline, no_sanitize("thread"))) T atomicCAS(T* address, std::type_identity_t<T> expected,
                                                             std::type_identity_t<T> v) {
  graft::cuda_on_host::note_atomic(address, sizeof(T), __builtin_return_address(0));
  const T old = *address;
  if (old == expected) *address = v;
  return old;
}

// ---- loads and stores with cache hints
#define GRAFT_HOST_LOAD(name) \
  template <typename T>       \
  T name(const T* address) {  \
    return *address;          \
  }
#define GRAFT_HOST_STORE(name)        \
  template <typename T>               \
  void name(T* address, const T& v) { \
    *address = v;                     \
  }
GRAFT_HOST_LOAD(__ldg)
GRAFT_HOST_LOAD(__ldcg)
GRAFT_HOST_LOAD(__ldca)
GRAFT_HOST_LOAD(__ldcs)
GRAFT_HOST_STORE(__stcg)
GRAFT_HOST_STORE(__stcs)
GRAFT_HOST_STORE(__stwb)
#undef GRAFT_HOST_LOAD
#undef GRAFT_HOST_STORE

// ---- 16-bit arithmetic that CUDA's headers keep from a host compiler. In f64 the product is exact and the sum nearly:
// one rounding.
inline __nv_bfloat16 __hfma(__nv_bfloat16 a, __nv_bfloat16 b, __nv_bfloat16 c) {
  return __double2bfloat16(double(__bfloat162float(a)) * double(__bfloat162float(b)) + double(__bfloat162float(c)));
}
inline __half __hfma(__half a, __half b, __half c) {
  return __double2half(double(__half2float(a)) * double(__half2float(b)) + double(__half2float(c)));
}
inline __nv_bfloat162 __hfma2(__nv_bfloat162 a, __nv_bfloat162 b, __nv_bfloat162 c) {
  return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};
}
inline __half2 __hfma2(__half2 a, __half2 b, __half2 c) { return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)}; }

// ---- intrinsics. The approximate ones are exact here: a bound that a test takes from them must allow the device's
// error too.
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return std::countl_zero(unsigned(x)); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t{a} * b) >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<unsigned long long>((Wide{a} * b) >> 64);
}
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float __expf(float x) noexcept { return std::exp(x); }
inline float __logf(float x) noexcept { return std::log(x); }
inline float __log2f(float x) noexcept { return std::log2(x); }
inline float __powf(float x, float y) noexcept { return std::pow(x, y); }
inline float __sinf(float x) noexcept { return std::sin(x); }
inline float __cosf(float x) noexcept { return std::cos(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }
inline int __float2int_rn(float x) { return static_cast<int>(std::nearbyint(x)); }
inline int __float2int_rd(float x) { return static_cast<int>(std::floor(x)); }
inline unsigned __cvta_generic_to_shared(const void* p) {
  return static_cast<unsigned>(reinterpret_cast<uintptr_t>(p));
}
