// Between the axis order of files (PyTorch's) and of memory (NHWC's): OIHW · OHWI, and OIHW with I = 1 · HWC for
// depthwise.
#pragma once
#include <vector>

#include "models/graph.h"

namespace graft::models {

// `from` and `to` hold the parameter's elements and do not overlap.
template <typename From, typename To>
void to_memory_order(const Parameter& p, const From* from, To* to) {
  if (p.axes == Axes::oihw || p.axes == Axes::depthwise) {
    const int64_t outs = p.shape[0], ins = p.shape[1], pixels = p.shape[2] * p.shape[3];
    for (int64_t o = 0; o < outs; ++o)
      for (int64_t i = 0; i < ins; ++i)
        for (int64_t s = 0; s < pixels; ++s) {
          const int64_t at = p.axes == Axes::oihw ? (o * pixels + s) * ins + i : s * outs + o;
          to[at] = static_cast<To>(*from++);
        }
  } else {
    for (int64_t i = 0; i < p.shape.numel(); ++i) to[i] = static_cast<To>(from[i]);
  }
}

template <typename From, typename To>
void to_file_order(const Parameter& p, const From* from, To* to) {
  if (p.axes == Axes::oihw || p.axes == Axes::depthwise) {
    const int64_t outs = p.shape[0], ins = p.shape[1], pixels = p.shape[2] * p.shape[3];
    for (int64_t o = 0; o < outs; ++o)
      for (int64_t i = 0; i < ins; ++i)
        for (int64_t s = 0; s < pixels; ++s) {
          const int64_t at = p.axes == Axes::oihw ? (o * pixels + s) * ins + i : s * outs + o;
          *to++ = static_cast<To>(from[at]);
        }
  } else {
    for (int64_t i = 0; i < p.shape.numel(); ++i) to[i] = static_cast<To>(from[i]);
  }
}

}  // namespace graft::models
