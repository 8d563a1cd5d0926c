// Every access of a kernel to global memory, 16 bytes at a time where the data allow it. On the host the same functions
// tell the access log of tests/cuda_on_host which thread touched what, from where in the source.
#pragma once
#include <cstdint>
#include <cstring>

#include "kernels/cuda/convert.h"
#include "kernels/cuda/platform.h"

#if defined(__CUDACC__)
#define GRAFT_SITE
#define GRAFT_PASS_SITE
#define GRAFT_NOTE(kind, address, bytes) static_cast<void>(0)
#else
#include <source_location>
#define GRAFT_SITE , std::source_location site = std::source_location::current()
#define GRAFT_PASS_SITE , site
#define GRAFT_NOTE(kind, address, bytes) cuda_on_host::note_##kind(address, bytes, site)
#endif

namespace graft::cuda {

template <typename T>
__device__ inline T load(const T* address GRAFT_SITE) {
  GRAFT_NOTE(load, address, sizeof(T));
  return *address;
}
template <typename T>
__device__ inline void store(T* address, T value GRAFT_SITE) {
  GRAFT_NOTE(store, address, sizeof(T));
  *address = value;
}

// N neighbouring elements; 16 bytes of them are one access.
template <typename T, int N>
struct alignas(N * sizeof(T) <= 16 ? N * sizeof(T) : 16) Vector {
  T at[N];
};
constexpr size_t piece(size_t bytes) { return bytes < 16 ? bytes : 16; }  // of one access
template <typename T>
inline constexpr int kPerVector = 16 / static_cast<int>(sizeof(T));

// `aligned` is the same for all threads of a launch: memory that begins off a 16-byte border is read element by
// element, into the same places, so that it changes the time and not the bits.
template <int N, typename T>
__device__ inline Vector<T, N> load_vector(const T* address, bool aligned GRAFT_SITE) {
  Vector<T, N> v;
  if (aligned) {
    for (size_t at = 0; at < sizeof(v); at += 16) GRAFT_NOTE(load, address + at / sizeof(T), piece(sizeof(v) - at));
    v = *reinterpret_cast<const Vector<T, N>*>(address);
  } else {
    for (int i = 0; i < N; ++i) {
      GRAFT_NOTE(load, address + i, sizeof(T));
      v.at[i] = address[i];
    }
  }
  return v;
}

// A vector in one instruction: left to itself, the compiler may store one that was computed in pieces.
template <typename V>
__device__ inline void store_at_once(void* address, const V& v) {
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(V) == 16) {
    uint32_t words[4];
    memcpy(words, &v, sizeof(v));
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(address)), "r"(words[0]),
                 "r"(words[1]), "r"(words[2]), "r"(words[3])
                 : "memory");
    return;
  } else if constexpr (sizeof(V) == 8) {
    uint32_t words[2];
    memcpy(words, &v, sizeof(v));
    asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global(address)), "r"(words[0]),
                 "r"(words[1])
                 : "memory");
    return;
  }
#endif
  *static_cast<V*>(address) = v;
}

template <int N, typename T>
__device__ inline void store_vector(T* address, const Vector<T, N>& v, bool aligned GRAFT_SITE) {
  if (aligned) {
    for (size_t at = 0; at < sizeof(v); at += 16) GRAFT_NOTE(store, address + at / sizeof(T), piece(sizeof(v) - at));
    store_at_once(address, v);
  } else {
    for (int i = 0; i < N; ++i) {
      GRAFT_NOTE(store, address + i, sizeof(T));
      address[i] = v.at[i];
    }
  }
}

// ---- elements of any type, as the floats that kernels compute with; 16-bit ones are rounded once, when they are
// stored

template <typename T>
__device__ inline float load_float(const T* address GRAFT_SITE) {
  return converted<float>(load(address GRAFT_PASS_SITE));
}
template <typename T>
__device__ inline void store_float(T* address, float value GRAFT_SITE) {
  store(address, converted<T>(value) GRAFT_PASS_SITE);
}
template <int N, typename T>
__device__ inline Vector<float, N> load_floats(const T* address, bool aligned GRAFT_SITE) {
  const Vector<T, N> v = load_vector<N>(address, aligned GRAFT_PASS_SITE);
  Vector<float, N> floats;
  for (int i = 0; i < N; ++i) floats.at[i] = converted<float>(v.at[i]);
  return floats;
}
template <int N, typename T>
__device__ inline void store_floats(T* address, const Vector<float, N>& floats, bool aligned GRAFT_SITE) {
  Vector<T, N> v;
  for (int i = 0; i < N; ++i) v.at[i] = converted<T>(floats.at[i]);
  store_vector(address, v, aligned GRAFT_PASS_SITE);
}

// ---- shared memory, where a kernel's time depends on the banks that a warp meets: tiles go through these. Arrays that
// are read in vectors begin on a 16-byte border.

template <int N, typename T>
__device__ inline Vector<T, N> load_shared(const T* address GRAFT_SITE) {
  GRAFT_NOTE(shared, address, sizeof(Vector<T, N>));
  return *reinterpret_cast<const Vector<T, N>*>(address);
}
template <int N, typename T>
__device__ inline void store_shared(T* address, const Vector<T, N>& v GRAFT_SITE) {
  GRAFT_NOTE(shared, address, sizeof(v));
  *reinterpret_cast<Vector<T, N>*>(address) = v;
}
template <typename T>
__device__ inline T load_shared(const T* address GRAFT_SITE) {
  return load_shared<1>(address GRAFT_PASS_SITE).at[0];
}
template <typename T>
__device__ inline void store_shared(T* address, T value GRAFT_SITE) {
  store_shared(
      address, Vector<T, 1> {
        { value }
      } GRAFT_PASS_SITE);
}

// For launchers: do all these begin on a 16-byte border? (Absent ones do.)
template <typename... Pointers>
bool all_aligned(const Pointers*... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) | ...) & 15) == 0;
}

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace graft::cuda
