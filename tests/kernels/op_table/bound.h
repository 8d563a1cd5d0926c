// Error bounds of the op table.
#pragma once
#include <vector>

#include "tests/kernels/op_table/op_table.h"

namespace graft::test {

// Moves, comparisons, selections: not one bit of difference.
inline Bound exact() { return {}; }

// A few roundings of the result itself.
inline Bound relative(double factor) { return {.factor = factor, .magnitude = nullptr}; }

// Sums of products, in any order. Their errors are relative to the sum of |terms|, which the reference computes itself:
// all inputs replaced by their absolute values, no activation. `negative`: positions of inputs that come with a minus
// sign in the formula (a mean, a learning rate) and are made negative instead. The default factor holds for any
// blocking: n roundings of partial sums that grow like a random walk are n / 2 units of a term, and Σ|terms| has n.
Bound linear(double factor = 4, std::vector<int> negative = {});

// Anything else: a function that fills the magnitudes from the arguments in f64, after the call.
template <typename Args>
Bound custom(double factor, void (*fill)(const Args& call, const Args& magnitude)) {
  return {.factor = factor,
          .magnitude = [fill](const Backend&, Primitive, const void*, const void* after, const void* magnitude) {
            fill(*static_cast<const Args*>(after), *static_cast<const Args*>(magnitude));
          }};
}

}  // namespace graft::test
