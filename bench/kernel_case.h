// What is timed: one call of one primitive, without its memory. A line of text makes it and names it:
// bench/operations.h.
#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "contract/check_args.h"
#include "contract/primitives.h"

namespace graft::bench {

inline constexpr int kMaxViews = 11;

// What an input holds. Numbers come from a hash of the element's place: every contestant gets the same.
struct Content {
  enum class Kind : uint8_t { uniform, positive, whole, constant };
  Kind kind = Kind::uniform;  // in [-1, 1); positive: in [0.5, 2); whole: 0 … value − 1; constant: value
  double value = 0;
};

struct KernelCase {
  std::string line;       // "conv2d n=16 h=56 …": the operation, as a file of shapes has it
  std::string operation;  // "conv2d"
  std::string pass;       // "forward", "data", "weight", "backward"
  std::string layer;      // "resnet50 layer1.0.conv2"; "" for one that no network named
  Primitive primitive = {};
  AnyArgs args = {};  // shapes, types and attributes; no memory
  std::array<Content, kMaxViews> contents;
  double flops = 0;  // of the formula; 0 for what only moves bytes

  // "conv2d.weight n=16 h=56 …": what a result is known by.
  std::string name() const;
  int64_t bytes() const;  // inputs and outputs once, what is read and written twice

  TensorView& view(int i) { return views_of(args.bytes)[i]; }
  const TensorView& view(int i) const { return args_views()[i]; }
  const TensorView* args_views() const { return views_of(static_cast<const void*>(args.bytes)); }
  const Roles& roles() const { return info_of(primitive).roles; }
};

}  // namespace graft::bench
