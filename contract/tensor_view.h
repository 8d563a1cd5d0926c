// What a primitive sees of a tensor: where it is, its extents, its element type. Always dense; images are [N, H, W, C].
#pragma once
#include "contract/dtype.h"
#include "contract/shape.h"

namespace graft {

struct TensorView {
  void* data = nullptr;
  Shape shape;
  DType dtype = DType::none;

  // An optional argument that was left out. (A tensor with no elements is present: it has a dtype.)
  constexpr bool present() const { return dtype != DType::none; }
  constexpr int64_t numel() const { return present() ? shape.numel() : 0; }
  constexpr int64_t bytes() const { return numel() * static_cast<int64_t>(size_of(dtype)); }

  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

}  // namespace graft
