// Products y[i, j] = Σ_k A(i, k) · B(k, j), of matrices or of convolutions seen as such: how they are cut into tiles
// and slabs. By shape alone, never by the device, so that a result has the same bits on every card.
//
// A block makes one tile of y. Where the tiles are too few to fill a card the sums are cut too: slab s of the depth
// leaves its partial sums in plane s of the workspace, and a second kernel adds the planes in order (add_slabs).
#pragma once
#include "kernels/cuda/conv_geometry.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/memory.h"
#include "kernels/cuda/ways.h"

namespace graft::cuda {

// y = act(sum + bias + residual), the last step of each product. T: y's elements.
template <typename T>
struct Epilogue {
  T* y = nullptr;
  const float* bias = nullptr;  // [columns], or nullptr
  const T* residual = nullptr;  // as y, or nullptr
  Activation activation = Activation::none;
  bool vectors = false;  // whole vectors of columns: 4 divides them and their place in a row of y
  bool aligned = false;  // y, bias and residual begin on 16-byte borders
};

struct GemmShape {
  int64_t rows = 0, columns = 0, depth = 0;
  int64_t batches = 1;  // products of this shape: groups, phases
  int64_t results = 0;  // elements of y: those of a plane
};

struct GemmCut {
  int side = 32;  // of a tile: side · side results
  int64_t row_tiles = 0, column_tiles = 0, batches = 0;
  int64_t slabs = 1, slab_depth = 0;
  int64_t plane = 0;  // elements from a slab's partial sums to the next's; 0: one slab, no workspace

  int64_t tiles() const { return row_tiles * column_tiles * batches; }
  dim3 grid() const { return dim3(static_cast<unsigned>(tiles()), static_cast<unsigned>(slabs)); }
  int64_t workspace_bytes() const { return plane == 0 ? 0 : slabs * plane * static_cast<int64_t>(sizeof(float)); }
};

// 128 · 128 results where there are at least kBlocksEnough such blocks: with fewer, tiles of a quarter that size keep
// more multiprocessors busy, at half the efficiency (gemm_tile.h). A larger tile must not compute more than 5 / 4 of
// what smaller ones do: y's border costs as much as its inside. `wide`: operands are read in vectors; the largest tile
// needs them. `tile`: the side that was chosen instead (ways.h).
inline constexpr int64_t kBlocksWanted = 256, kBlocksEnough = 64;
inline constexpr int64_t kLeastSlab = 128;  // products a result; fewer are not worth a partial sum written and read
inline constexpr int64_t kSlabStep = 32;    // slabs are whole slices of any tile

inline GemmCut cut_of(const GemmShape& shape, bool wide, int tile) {
  const auto cut_into = [&](int side) {
    return GemmCut{.side = side,
                   .row_tiles = ceil_div(shape.rows, side),
                   .column_tiles = ceil_div(shape.columns, side),
                   .batches = shape.batches,
                   .slab_depth = shape.depth};
  };
  const int64_t most_slabs = shape.depth >= kLeastSlab ? shape.depth / kLeastSlab : 1;
  GemmCut cut = cut_into(32);
  for (const int side : {64, 128}) {
    const GemmCut larger = cut_into(side);
    const bool fills = larger.tiles() * most_slabs >= kBlocksEnough;
    const bool wastes = larger.tiles() * 4 * 4 > cut_into(side / 2).tiles() * 5;
    if (fills && !wastes && (wide || side < 128)) cut = larger;
  }
  if (tile != 0) cut = cut_into(tile);
  if (cut.tiles() == 0) return cut;
  const int64_t wanted = kBlocksWanted / cut.tiles(), slabs = wanted < most_slabs ? wanted : most_slabs;
  if (slabs > 1) {
    cut.slab_depth = ceil_div(ceil_div(shape.depth, slabs), kSlabStep) * kSlabStep;
    cut.slabs = ceil_div(shape.depth, cut.slab_depth);
    cut.plane = shape.results;
  }
  return cut;
}

// What follows from the shapes of a call alone: the workspace's size is asked for before there is memory.
struct GemmPlan {
  GemmShape shape;
  bool wide = false;
  int tile = 0;  // the side that was chosen; 0: by shape
  GemmCut cut = cut_of(shape, wide, tile);
};

// The tiles that may be chosen.
inline OwnTiles tiles_of(const GemmCut& cut, bool wide) {
  return {.all = std::span(kTiles).first(wide ? 3 : 2), .by_shape = cut.side};
}

// y = act(Σ_s planes[s] + bias + residual), s in order; y has rows of `columns`.
template <typename T>
Status add_slabs(CallContext& call, const GemmCut& cut, int64_t columns, const Epilogue<T>& out);

}  // namespace graft::cuda
