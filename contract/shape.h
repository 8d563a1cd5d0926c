// The extents of a dense tensor, slowest axis first. Plain data: it crosses the border of a kernel library.
#pragma once
#include <cstdint>
#include <initializer_list>

namespace graft {

inline constexpr int kMaxRank = 6;

struct Shape {
  int64_t extents[kMaxRank] = {};
  int32_t rank = 0;

  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<int64_t> list) {
    for (int64_t extent : list)
      if (rank < kMaxRank) extents[rank++] = extent;
  }

  constexpr int64_t operator[](int axis) const { return extents[axis < 0 ? rank + axis : axis]; }
  constexpr int64_t& operator[](int axis) { return extents[axis < 0 ? rank + axis : axis]; }

  // Product of extents [first, last); 1 when there are none.
  constexpr int64_t count(int first, int last) const {
    int64_t product = 1;
    for (int axis = first; axis < last; ++axis) product *= extents[axis];
    return product;
  }
  constexpr int64_t numel() const { return count(0, rank); }

  // A tensor seen as rows of channels: the last axis, and everything before it.
  constexpr int64_t channels() const { return rank == 0 ? 1 : extents[rank - 1]; }
  constexpr int64_t rows() const { return rank == 0 ? 1 : count(0, rank - 1); }

  friend constexpr bool operator==(const Shape& a, const Shape& b) {
    if (a.rank != b.rank) return false;
    for (int axis = 0; axis < a.rank; ++axis)
      if (a.extents[axis] != b.extents[axis]) return false;
    return true;
  }
};

}  // namespace graft
