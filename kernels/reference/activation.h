// The activations of contract/primitives.h, on one number.
#pragma once
#include <cmath>

#include "contract/primitives.h"

namespace graft::reference {

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// Written so that NaN stays NaN.
inline double activated(Activation activation, double x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x < 0 ? 0 : x;
    case Activation::relu6:
      return x < 0 ? 0 : x > 6 ? 6 : x;
    case Activation::silu:
      return x * sigmoid(x);
    case Activation::sigmoid:
      return sigmoid(x);
  }
  return x;
}

// dy · act′, from the saved y for relu, relu6 and sigmoid, from the saved x for silu: (x·σ)′ = σ·(1 + x·(1 − σ)).
inline double activation_gradient(Activation activation, double saved, double dy) {
  switch (activation) {
    case Activation::none:
      return dy;
    case Activation::relu:
      return saved > 0 ? dy : 0;
    case Activation::relu6:
      return saved > 0 && saved < 6 ? dy : 0;
    case Activation::silu:
      return dy * sigmoid(saved) * (1 + saved * (1 - sigmoid(saved)));
    case Activation::sigmoid:
      return dy * saved * (1 - saved);
  }
  return dy;
}

}  // namespace graft::reference
