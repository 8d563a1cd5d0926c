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

// No tensor has more elements, so products of extents and offsets stay far from overflow.
inline constexpr int64_t kMaxElements = int64_t{1} << 44;

// Extents in range, zeros counted as ones: their product in any order is at most kMaxElements. (Absent views pass.)
constexpr bool well_formed(const TensorView& view) {
  if (!view.present()) return true;
  if (static_cast<int>(view.dtype) >= kDTypeCount || view.shape.rank < 0 || view.shape.rank > kMaxRank) return false;
  int64_t elements = 1;
  for (int axis = 0; axis < view.shape.rank; ++axis) {
    const int64_t extent = view.shape[axis];
    if (extent < 0 || extent > kMaxElements / elements) return false;
    if (extent > 0) elements *= extent;
  }
  return true;
}

}  // namespace graft
