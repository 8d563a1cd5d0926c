// A tensor as loops see it: x(n, h, w, c), and `for (auto [n, h, w, c] : x.indices())` over all its elements.
#pragma once
#include <array>
#include <concepts>
#include <cstdint>

#include "contract/tensor_view.h"

namespace graft::reference {

// All indices below the extents, the last axis fastest.
template <int kRank>
class Indices {
 public:
  using Index = std::array<int64_t, kRank>;
  explicit Indices(const Index& extents) : extents_(extents) {
    for (int64_t extent : extents) empty_ = empty_ || extent == 0;
  }

  class Iterator {
   public:
    Iterator(const Index& extents, bool done) : extents_(extents), done_(done) {}
    const Index& operator*() const { return index_; }
    void operator++() {
      for (int axis = kRank - 1; axis >= 0; --axis) {
        if (++index_[axis] < extents_[axis]) return;
        index_[axis] = 0;
      }
      done_ = true;
    }
    bool operator!=(const Iterator& other) const { return done_ != other.done_; }

   private:
    Index index_{}, extents_;
    bool done_;
  };
  Iterator begin() const { return {extents_, empty_}; }
  Iterator end() const { return {extents_, true}; }

 private:
  Index extents_;
  bool empty_ = false;
};

template <typename T, int kRank>
class View {
 public:
  View(T* data, const std::array<int64_t, kRank>& extents) : data_(data), extents_(extents) {}
  explicit View(const TensorView& view) : data_(view.as<T>()) {
    for (int axis = 0; axis < kRank; ++axis) extents_[axis] = view.shape.extents[axis];
  }

  template <std::integral... I>
  requires(sizeof...(I) == kRank) T& operator()(I... index) const {
    int64_t at = 0;
    int axis = 0;
    ((at = at * extents_[axis++] + index), ...);
    return data_[at];
  }
  int64_t extent(int axis) const { return extents_[axis]; }
  Indices<kRank> indices() const { return Indices<kRank>(extents_); }

 private:
  T* data_;
  std::array<int64_t, kRank> extents_{};
};

template <typename T>
using View2 = View<T, 2>;
template <typename T>
using View3 = View<T, 3>;
template <typename T>
using View4 = View<T, 4>;

// A tensor of any rank as rows of channels: the last axis, and everything before it.
template <typename T>
View2<T> rows_of(const TensorView& view) {
  return {view.as<T>(), {view.shape.rows(), view.shape.channels()}};
}

// An optional vector: nullptr when it was left out.
template <typename T>
T* optional(const TensorView& view) {
  return view.present() ? view.as<T>() : nullptr;
}

}  // namespace graft::reference
