// Elementwise: activations forward and backward, add, scale, multiply with broadcast over pixels.
//
// Each input is read once and each output written once, 16 bytes a thread: activate and scale move 2·n·sizeof(T), add
// and activate_backward 3·n·sizeof(T), multiply 2·n·sizeof(T) and s from L2. The limit is the memory's bandwidth; the
// arithmetic (an exponential at most) hides behind it.
#include "kernels/cuda/activation.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/memory.h"

namespace graft::cuda {

namespace {
constexpr int kThreads = 256;
}

template <typename T>
struct MapArgs {
  const T *a, *b;  // b: nullptr where there is one input
  T* y;
  int64_t n;
  bool aligned;
};

struct Activate {
  Activation kind;
  __device__ float operator()(float x, float) const { return activated(kind, x); }
};
struct ActivateBackward {
  Activation kind;
  __device__ float operator()(float saved, float dy) const { return activation_gradient(kind, saved, dy); }
};
struct Add {
  Activation kind;
  __device__ float operator()(float a, float b) const { return activated(kind, a + b); }
};
struct Scale {
  double factor;  // rounded once: the product of a float and a double
  __device__ float operator()(float x, float) const { return static_cast<float>(x * factor); }
};

// y[i] = f(a[i], b[i]); a thread makes one vector, the last one what is left.
template <typename T, typename F>
__global__ __launch_bounds__(kThreads) void map_kernel(MapArgs<T> m, F f) {
  constexpr int kN = kPerVector<T>;
  const int64_t begin = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kN;
  if (begin + kN <= m.n) {
    const Vector<float, kN> a = load_floats<kN>(m.a + begin, m.aligned);
    const Vector<float, kN> b = m.b != nullptr ? load_floats<kN>(m.b + begin, m.aligned) : a;
    Vector<float, kN> y;
    for (int k = 0; k < kN; ++k) y.at[k] = f(a.at[k], b.at[k]);
    store_floats(m.y + begin, y, m.aligned);
  } else {
    for (int64_t i = begin; i < m.n; ++i) {
      const float a = load_float(m.a + i);
      const float b = m.b != nullptr ? load_float(m.b + i) : a;
      store_float(m.y + i, f(a, b));
    }
  }
}

template <typename T, typename F>
Status map(CallContext& call, const char* name, const T* a, const T* b, T* y, int64_t n, F f) {
  const MapArgs<T> m{a, b, y, n, all_aligned(a, b, y)};
  const auto blocks = static_cast<unsigned>(ceil_div(n, kThreads * kPerVector<T>));
  return launch(call, {name, dim3(blocks), dim3(kThreads)}, map_kernel<T, F>, m, f);
}

template <typename T>
Status activate(CallContext& call, const ActivateArgs& a) {
  return map<T>(call, "activate", a.x.as<T>(), nullptr, a.y.as<T>(), a.y.numel(), Activate{a.activation});
}
template <typename T>
Status activate_backward(CallContext& call, const ActivateBackwardArgs& a) {
  return map<T>(call, "activate_backward", a.saved.as<T>(), a.dy.as<T>(), a.dx.as<T>(), a.dx.numel(),
                ActivateBackward{a.activation});
}
template <typename T>
Status add(CallContext& call, const AddArgs& a) {
  return map<T>(call, "add", a.a.as<T>(), a.b.as<T>(), a.y.as<T>(), a.y.numel(), Add{a.activation});
}
template <typename T>
Status scale(CallContext& call, const ScaleArgs& a) {
  return map<T>(call, "scale", a.x.as<T>(), nullptr, a.y.as<T>(), a.y.numel(), Scale{a.factor});
}

// ---- y[o,r,i] = x[o,r,i] · s[o,i]

template <typename T>
struct BroadcastMultiplyArgs {
  const T *x, *s;
  T* y;
  int64_t n, plane, inner;  // plane = repeat · inner
  bool aligned;
};

// A vector lies in one row of `inner` elements when kN divides inner; else each element finds its own factor.
template <typename T, int kN>
__global__ __launch_bounds__(kThreads) void multiply_kernel(BroadcastMultiplyArgs<T> m) {
  const int64_t begin = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kN;
  if (begin >= m.n) return;
  const int64_t o = begin / m.plane, i = begin % m.inner;
  const Vector<float, kN> x = load_floats<kN>(m.x + begin, m.aligned);
  const Vector<float, kN> s = load_floats<kN>(m.s + o * m.inner + i, m.aligned);
  Vector<float, kN> y;
  for (int k = 0; k < kN; ++k) y.at[k] = x.at[k] * s.at[k];
  store_floats(m.y + begin, y, m.aligned);
}

template <typename T>
Status multiply(CallContext& call, const MultiplyArgs& a) {
  const int64_t n = a.x.numel();
  if (n == 0) return call.kernel = "multiply", Status::ok;
  const T *x = a.x.as<T>(), *s = a.s.as<T>();
  T* y = a.y.as<T>();
  constexpr int kN = kPerVector<T>;
  const int per_thread = a.inner % kN == 0 ? kN : 1;
  const BroadcastMultiplyArgs<T> m{x, s, y, n, a.repeat * a.inner, a.inner, all_aligned(x, s, y)};
  const LaunchConfig config{"multiply", dim3(static_cast<unsigned>(ceil_div(n, kThreads * per_thread))),
                            dim3(kThreads)};
  return per_thread == kN ? launch(call, config, multiply_kernel<T, kN>, m)
                          : launch(call, config, multiply_kernel<T, 1>, m);
}

void enter_elementwise(KernelTable& table) {
  enter<ActivateArgs, activate<float>, activate<__nv_bfloat16>, activate<__half>>(table);
  enter<ActivateBackwardArgs, activate_backward<float>, activate_backward<__nv_bfloat16>>(table);
  enter<AddArgs, add<float>, add<__nv_bfloat16>, add<__half>>(table);
  enter<ScaleArgs, scale<float>, scale<__nv_bfloat16>, scale<__half>>(table);
  enter<MultiplyArgs, multiply<float>, multiply<__nv_bfloat16>, multiply<__half>>(table);
}

}  // namespace graft::cuda
