// How far a kernel's result may be from the truth: bounds that follow from the formulas.
#pragma once
#include <functional>
#include <vector>

#include "contract/backend.h"

namespace graft::bench {

// How far a result may be from the reference in f64, with u half a unit in the last place of 1:
//   |y − y64| <= factor · u · (magnitude + |y64|)
// Without a magnitude the error is relative to the result. factor = 0: the same bits once y64 is rounded.
struct Bound {
  // `before` are the f64 arguments of the call, `after` the same with results; the outputs and in-outs of `magnitude`
  // are f64 tensors to fill, zero before. All three point to the arguments struct of the primitive.
  using Magnitude = std::function<void(const Backend& reference, Primitive, const void* before, const void* after,
                                       const void* magnitude)>;
  double factor = 0;
  Magnitude magnitude = nullptr;
};

// The bound of a primitive, wherever its kernels are compared with the reference.
Bound bound_of(Primitive);

// Moves, comparisons, selections: not one bit of difference.
inline Bound exact() { return {}; }

// A few roundings of the result itself.
inline Bound relative(double factor) { return {.factor = factor, .magnitude = nullptr}; }

// Sums of products, in any order. Their errors are relative to the sum of |terms|, which the reference computes itself:
// all inputs replaced by their absolute values, no activation. `negative`: positions of inputs that come with a minus
// sign in the formula (a mean, a learning rate) and are made negative instead. The default factor holds for any
// blocking: n roundings of partial sums that grow like a random walk are n / 2 units of a term, and Σ|terms| has n.
Bound linear(double factor = 4, const std::vector<int>& negative = {});

// Anything else: a function that fills the magnitudes from the arguments in f64, after the call.
template <typename Args>
Bound custom(double factor, void (*fill)(const Args& call, const Args& magnitude)) {
  return {.factor = factor,
          .magnitude = [fill](const Backend&, Primitive, const void*, const void* after, const void* magnitude) {
            fill(*static_cast<const Args*>(after), *static_cast<const Args*>(magnitude));
          }};
}

}  // namespace graft::bench
