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
    const Vector<T, kN> a = load_vector<kN>(m.a + begin, m.aligned);
    const Vector<T, kN> b = m.b != nullptr ? load_vector<kN>(m.b + begin, m.aligned) : a;
    Vector<T, kN> y;
    for (int k = 0; k < kN; ++k) y.at[k] = f(a.at[k], b.at[k]);
    store_vector(m.y + begin, y, m.aligned);
  } else {
    for (int64_t i = begin; i < m.n; ++i) {
      const T a = load(m.a + i);
      const T b = m.b != nullptr ? load(m.b + i) : a;
      store(m.y + i, static_cast<T>(f(a, b)));
    }
  }
}

template <typename T, typename F>
Status map(CallContext& call, const char* name, const T* a, const T* b, T* y, int64_t n, F f) {
  const MapArgs<T> m{a, b, y, n, all_aligned(a, b, y)};
  const auto blocks = static_cast<unsigned>(ceil_div(n, kThreads * kPerVector<T>));
  return launch(call, {name, dim3(blocks), dim3(kThreads)}, map_kernel<T, F>, m, f);
}

Status activate(CallContext& call, const ActivateArgs& a) {
  return map<float>(call, "activate", a.x.as<float>(), nullptr, a.y.as<float>(), a.y.numel(), Activate{a.activation});
}
Status activate_backward(CallContext& call, const ActivateBackwardArgs& a) {
  return map<float>(call, "activate_backward", a.saved.as<float>(), a.dy.as<float>(), a.dx.as<float>(), a.dx.numel(),
                    ActivateBackward{a.activation});
}
Status add(CallContext& call, const AddArgs& a) {
  return map<float>(call, "add", a.a.as<float>(), a.b.as<float>(), a.y.as<float>(), a.y.numel(), Add{a.activation});
}
Status scale(CallContext& call, const ScaleArgs& a) {
  return map<float>(call, "scale", a.x.as<float>(), nullptr, a.y.as<float>(), a.y.numel(), Scale{a.factor});
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
  const Vector<T, kN> x = load_vector<kN>(m.x + begin, m.aligned);
  const Vector<T, kN> s = load_vector<kN>(m.s + o * m.inner + i, m.aligned);
  Vector<T, kN> y;
  for (int k = 0; k < kN; ++k) y.at[k] = x.at[k] * s.at[k];
  store_vector(m.y + begin, y, m.aligned);
}

Status multiply(CallContext& call, const MultiplyArgs& a) {
  const int64_t n = a.x.numel();
  if (n == 0) return call.kernel = "multiply", Status::ok;
  const auto *x = a.x.as<float>(), *s = a.s.as<float>();
  auto* y = a.y.as<float>();
  constexpr int kN = kPerVector<float>;
  const int per_thread = a.inner % kN == 0 ? kN : 1;
  const BroadcastMultiplyArgs<float> m{x, s, y, n, a.repeat * a.inner, a.inner, all_aligned(x, s, y)};
  const LaunchConfig config{"multiply", dim3(static_cast<unsigned>(ceil_div(n, kThreads * per_thread))),
                            dim3(kThreads)};
  return per_thread == kN ? launch(call, config, multiply_kernel<float, kN>, m)
                          : launch(call, config, multiply_kernel<float, 1>, m);
}

void enter_elementwise(KernelTable& table) {
  enter<ActivateArgs, activate>(table);
  enter<ActivateBackwardArgs, activate_backward>(table);
  enter<AddArgs, add>(table);
  enter<ScaleArgs, scale>(table);
  enter<MultiplyArgs, multiply>(table);
}

}  // namespace graft::cuda
