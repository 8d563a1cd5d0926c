// Activations and their derivatives on floats; `kind` is the same for all threads, so its branches cost nothing beside
// memory.
#pragma once
#include "kernels/cuda/memory.h"

namespace graft::cuda {

// 1 / (1 + e^−x), without an e^ that overflows: far below zero it goes to 0 through all the floats there are.
__device__ inline float sigmoid(float x) {
  const float e = expf(-fabsf(x));
  return (x < 0 ? e : 1) / (1 + e);
}

// NaN stays NaN: each comparison with it is false, and x is what remains.
__device__ inline float activated(Activation kind, float x) {
  switch (kind) {
    case Activation::relu:
      return x < 0 ? 0.0f : x;
    case Activation::relu6:
      return x < 0 ? 0.0f : x > 6 ? 6.0f : x;
    case Activation::silu:
      return x * sigmoid(x);
    case Activation::sigmoid:
      return sigmoid(x);
    case Activation::none:
      break;
  }
  return x;
}

// What relu and relu6 let pass, from y or from what they were given.
__device__ inline bool lets_pass(Activation kind, float saved) {
  return saved > 0 && (kind != Activation::relu6 || saved < 6);
}

// The same for values that are sums of some terms: of an exponential and a quotient only as many digits are computed as
// such sums have. A kernel that activates what it has just summed has no time for more than these five instructions;
// and the branches stand outside the loops.
template <int kRows, int kN>
__device__ inline void activate_all(Activation kind, Vector<float, kN> (&values)[kRows]) {
  if (kind == Activation::silu || kind == Activation::sigmoid) {
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int k = 0; k < kN; ++k) {
        const float x = values[i].at[k];
        values[i].at[k] = __fdividef(kind == Activation::silu ? x : 1.0f, 1 + __expf(-x));
      }
  } else if (kind != Activation::none) {
    const float most = kind == Activation::relu6 ? 6.0f : INFINITY;
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int k = 0; k < kN; ++k) {
        const float x = values[i].at[k];
        values[i].at[k] = x < 0 ? 0.0f : x > most ? most : x;
      }
  }
}

// dy · act′; `saved` is y, or x for silu. What relu does not let pass is 0, whatever dy is there.
__device__ inline float activation_gradient(Activation kind, float saved, float dy) {
  switch (kind) {
    case Activation::relu:
    case Activation::relu6:
      return lets_pass(kind, saved) ? dy : 0.0f;
    case Activation::silu: {
      const float s = sigmoid(saved);
      return dy * s * (1 + saved * (1 - s));
    }
    case Activation::sigmoid:
      return dy * saved * (1 - saved);
    case Activation::none:
      break;
  }
  return dy;
}

}  // namespace graft::cuda
