// Convolution as a matrix product over packed weights, for the forward pass and for every phase of backward data.
//
// A row of the product is an output pixel, a column an output channel, k runs over (tap row, tap column, channel), so a
// tap row of a dense window is one contiguous run of NHWC. Three ways to read the rows, chosen by shape:
//   pixels    1x1, stride 1: the input is the matrix; rows lie `channels` apart
//   rows      tiles along one output row, read in place; a band of input rows with its padding is copied to L2 first,
//             where a window would leave the image
//   gathered  maps whose rows fill the tiles badly (7 pixels): the windows of a block of pixels are copied out
// Traffic: input once (rows: once into L2 and from there r·s / stride² times), output once, weights once per block of
// rows; small weights stay in L2 and the panels turn fastest, large ones are walked panel by panel while the next panel
// is prefetched. Bound by the multipliers from 64 channels up.
//
// The sum behind an output runs over k in order, whatever the path, the block or the tile: blocks may follow the shape
// only, and do.
#if defined(GRAFT_KERNELS_CPU_CONV_ENGINE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GRAFT_KERNELS_CPU_CONV_ENGINE_INL_H_
#undef GRAFT_KERNELS_CPU_CONV_ENGINE_INL_H_
#else
#define GRAFT_KERNELS_CPU_CONV_ENGINE_INL_H_
#endif

#include "kernels/cpu/gemm_kernel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {

// y[n, oh, ow, group, :] = act(Σ x[n, oh·stride − pad + tap·dilation, …, group, :] · packed + bias + residual). Pads
// may be negative (a window that begins inside the image), and y may be a sub-grid of a tensor: its strides are free.
struct ConvProblem {
  const float* x;
  int64_t images, h, w, channels;  // channels of all groups: the distance of two pixels
  int64_t oh, ow;
  int64_t taps_h, taps_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  int64_t groups, cin, cout;  // channels of one group
  const float* packed;        // [group][panel][taps_h · taps_w · cin][kPanel]
  float* y;
  int64_t y_image, y_row, y_pixel;
  const float* bias = nullptr;
  const float* residual = nullptr;
  Activation activation = Activation::none;

  int64_t k() const { return taps_h * taps_w * cin; }
  int64_t panels() const { return panels_of(cout); }
  int64_t packed_floats() const { return groups * panels() * k() * kPanel; }
};

enum class ConvPath { pixels, rows, gathered };

struct ConvPlan {
  ConvPath path;
  bool small_weights;  // of one group: they stay in L2
  bool dense_rows;     // a tap row is one run
  bool copies_band = false;
  int64_t block = 1, blocks = 1;  // pixels, or output rows of one image, in a block; blocks of all images
  int64_t panel_groups = 1;       // shares of the panels, for parallel work where blocks are few
  int64_t scratch_floats = 0;     // of each slot
  int64_t band_w = 0, gathered_row = 0;

  int64_t tasks(const ConvProblem& p) const { return blocks * panel_groups * p.groups; }
};

inline constexpr int64_t kWantedTasks = 16;  // enough for the machines graft is meant for; by shape, not by threads
inline constexpr int64_t kSmallWeightFloats = 175000;  // 700 KB, a third of L2
inline constexpr int64_t kBandFloats = 120000;

inline ConvPlan plan_convolution(const ConvProblem& p) {
  ConvPlan plan{};
  const int64_t panels = p.panels(), pixels = p.oh * p.ow;
  plan.small_weights = p.k() * panels * kPanel < kSmallWeightFloats;
  plan.dense_rows = p.groups == 1 && (p.dilation_w == 1 || p.taps_w == 1);
  plan.panel_groups = 1;
  const auto share_panels = [&](int64_t most) {
    if (plan.blocks * p.groups < kWantedTasks)
      plan.panel_groups = std::clamp<int64_t>(ceil_div(kWantedTasks, std::max<int64_t>(plan.blocks * p.groups, 1)), 1,
                                              std::max<int64_t>(1, std::min(panels, most)));
  };

  const bool whole_image = p.taps_h == 1 && p.taps_w == 1 && p.stride_h == 1 && p.stride_w == 1 && p.pad_top == 0 &&
                           p.pad_left == 0 && p.oh == p.h && p.ow == p.w && p.y_row == p.ow * p.y_pixel &&
                           p.y_image == p.oh * p.y_row;
  if (whole_image) {
    plan.path = ConvPath::pixels;
    const int64_t all = p.images * pixels;
    plan.block = 32 * kTileRows;
    while (plan.block > 4 * kTileRows && ceil_div(all, plan.block) < kWantedTasks) plan.block /= 2;
    plan.blocks = ceil_div(all, plan.block);
    share_panels(panels);
    return plan;
  }

  plan.band_w = (p.ow - 1) * p.stride_w + (p.taps_w - 1) * p.dilation_w + 1;
  const int64_t band_h = (p.taps_h - 1) * p.dilation_h + 1;
  const bool outside =
      p.k() > 0 && (p.pad_top > 0 || p.pad_left > 0 || (p.oh - 1) * p.stride_h - p.pad_top + band_h > p.h ||
                    plan.band_w - p.pad_left > p.w);
  const double filled = static_cast<double>(p.ow) / static_cast<double>(round_up(p.ow, kTileRows));
  const bool band_fits =
      !outside || static_cast<double>(plan.band_w) * static_cast<double>(p.channels * band_h) < 8. * kBandFloats;
  if (filled > .8 && band_fits) {
    plan.path = ConvPath::rows;
    plan.copies_band = outside;
    const int64_t row = std::max<int64_t>(1, plan.band_w * p.channels);
    plan.block = std::clamp<int64_t>((kBandFloats / row - band_h) / p.stride_h + 1, 1, std::max<int64_t>(p.oh, 1));
    if (plan.small_weights)
      while (plan.block > 4 && p.images * ceil_div(p.oh, plan.block) < kWantedTasks)
        plan.block = ceil_div(plan.block, 2);
    plan.blocks = p.images * ceil_div(p.oh, plan.block);
    if (outside) plan.scratch_floats = ((plan.block - 1) * p.stride_h + band_h) * row;
    share_panels(panels);
    return plan;
  }

  plan.path = ConvPath::gathered;
  plan.gathered_row = round_up(p.k(), 16) + 16;  // rows a power of two apart would share cache sets
  const int64_t wanted =
      plan.small_weights ? 4 * kTileRows : std::clamp<int64_t>(150000 / std::max<int64_t>(p.k(), 1), 56, 280);
  plan.block = std::min(round_up(wanted, kTileRows), round_up(std::max<int64_t>(p.images * pixels, 1), kTileRows));
  plan.blocks = ceil_div(p.images * pixels, plan.block);
  plan.scratch_floats = plan.block * plan.gathered_row;
  share_panels(4);  // each share gathers again
  return plan;
}

HWY_INLINE void copy_floats(const float* from, float* to, int64_t n) {
  for_vectors(0, n,
              [&](int64_t i, int64_t count) HWY_ATTR { store_up_to(load_up_to(from + i, count), to + i, count); });
}
HWY_INLINE void zero_floats(float* to, int64_t n) {
  for_vectors(0, n, [&](int64_t i, int64_t count) HWY_ATTR { store_up_to(zero(), to + i, count); });
}

// One row of `columns` pixels that begins at column `first` of an image row `w` pixels wide; zeros outside.
inline void copy_padded_row(const float* row, bool inside, int64_t first, int64_t columns, int64_t w, int64_t channels,
                            float* to) {
  const int64_t left = inside ? std::clamp<int64_t>(-first, 0, columns) : columns;
  const int64_t end = inside ? std::clamp<int64_t>(w - first, left, columns) : columns;
  zero_floats(to, left * channels);
  if (end > left) copy_floats(row + (first + left) * channels, to + left * channels, (end - left) * channels);
  zero_floats(to + end * channels, (columns - end) * channels);
}

// The tiles of one block of rows of the product. `at(tile)` gives where its input and its output begin.
struct BlockTile {
  TileInput in;
  int64_t rows, y_offset;
};
template <typename At>
HWY_INLINE void run_panels(const ConvProblem& p, const ConvPlan& plan, int64_t group, int64_t share, int64_t tiles,
                           At&& at) {
  const int64_t panels = p.panels(), k = p.k(), panel_floats = k * kPanel;
  const int64_t first = panels * share / plan.panel_groups, end = panels * (share + 1) / plan.panel_groups;
  const float* packed = p.packed + group * panels * panel_floats;
  const auto run = [&](int64_t panel, int64_t tile, Prefetch next) HWY_ATTR {
    const BlockTile t = at(tile);
    const int64_t channel = group * p.cout + panel * kPanel;
    run_tile(t.rows, t.in, packed + panel * panel_floats,
             {.c = p.y + t.y_offset + channel,
              .row = p.y_pixel,
              .n = std::min<int64_t>(kPanel, p.cout - panel * kPanel),
              .bias = p.bias != nullptr ? p.bias + channel : nullptr,
              .residual = p.residual != nullptr ? p.residual + t.y_offset + channel : nullptr,
              .limits = limits_of(p.activation)},
             next, p.activation);
  };
  if (plan.small_weights) {  // 14 rows x all panels, while the next rows of the input are fetched
    const int64_t step = std::max<int64_t>(1, kTileRows / std::max<int64_t>(1, end - first));
    for (int64_t tile = 0; tile < tiles; ++tile)
      for (int64_t panel = first; panel < end; ++panel) {
        const BlockTile t = at(tile);
        const float* next = p.taps_h * p.taps_w == 1 ? t.in.a + t.rows * t.in.row + (panel - first) * step * k : packed;
        run(panel, tile, {next, p.taps_h * p.taps_w == 1 ? step : 0});
      }
  } else {  // a panel x all rows, while the next panel is fetched
    const int64_t step = std::max<int64_t>(1, kPanel / std::max<int64_t>(1, tiles));
    for (int64_t panel = first; panel < end; ++panel) {
      const float* next = packed + (panel + 1 < end ? panel + 1 : first) * panel_floats;
      for (int64_t tile = 0; tile < tiles; ++tile)
        run(panel, tile, {next + std::min<int64_t>(tile * step, kPanel - step) * k, step});
    }
  }
}

inline void run_pixels(const ConvProblem& p, const ConvPlan& plan, int64_t block, int64_t group, int64_t share) {
  const int64_t all = p.images * p.oh * p.ow, begin = block * plan.block, end = std::min(all, begin + plan.block);
  // Large weights: eight tiles at a time keep their rows in L1 or near while a panel is used.
  const int64_t step = plan.small_weights ? plan.block : 8 * kTileRows;
  for (int64_t first = begin; first < end; first += step) {
    const Deal deal(std::min(step, end - first));
    run_panels(p, plan, group, share, deal.tiles, [&](int64_t tile) HWY_ATTR {
      const int64_t pixel = first + deal.first(tile);
      return BlockTile{{.a = p.x + pixel * p.channels + group * p.cin, .row = p.channels, .run = p.cin},
                       deal.size(tile),
                       pixel * p.y_pixel};
    });
  }
}

inline void run_rows(const ConvProblem& p, const ConvPlan& plan, int64_t block, int64_t group, int64_t share,
                     float* scratch) {
  const int64_t blocks_per_image = ceil_div(p.oh, plan.block);
  const int64_t image = block / blocks_per_image, y0 = block % blocks_per_image * plan.block;
  const int64_t lines = std::min(plan.block, p.oh - y0), first_row = y0 * p.stride_h - p.pad_top;
  int64_t pitch = p.w * p.channels;
  const float* band = p.x + (image * p.h + first_row) * pitch - p.pad_left * p.channels;
  if (plan.copies_band) {
    pitch = plan.band_w * p.channels;
    band = scratch;
    const int64_t rows = (lines - 1) * p.stride_h + (p.taps_h - 1) * p.dilation_h + 1;
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t row = first_row + i;
      const bool inside = row >= 0 && row < p.h;
      copy_padded_row(inside ? p.x + (image * p.h + row) * p.w * p.channels : p.x, inside, -p.pad_left, plan.band_w,
                      p.w, p.channels, scratch + i * pitch);
    }
  }
  const Deal deal(p.ow);
  const int64_t y_base = image * p.y_image + y0 * p.y_row;
  run_panels(p, plan, group, share, lines * deal.tiles, [&](int64_t tile) HWY_ATTR {
    const int64_t line = tile / deal.tiles, part = tile % deal.tiles, first = deal.first(part);
    return BlockTile{{.a = band + line * p.stride_h * pitch + first * p.stride_w * p.channels + group * p.cin,
                      .row = p.stride_w * p.channels,
                      .run = plan.dense_rows ? p.taps_w * p.cin : p.cin,
                      .outer = p.taps_h,
                      .inner = plan.dense_rows ? 1 : p.taps_w,
                      .outer_step = p.dilation_h * pitch,
                      .inner_step = p.dilation_w * p.channels},
                     deal.size(part),
                     y_base + line * p.y_row + first * p.y_pixel};
  });
}

inline void gather_window(const ConvProblem& p, const ConvPlan& plan, int64_t pixel, int64_t group, float* to) {
  const int64_t ox = pixel % p.ow, oy = pixel / p.ow % p.oh, image = pixel / p.ow / p.oh;
  const int64_t x0 = ox * p.stride_w - p.pad_left, y0 = oy * p.stride_h - p.pad_top;
  for (int64_t i = 0; i < p.taps_h; ++i) {
    const int64_t y = y0 + i * p.dilation_h;
    const bool inside = y >= 0 && y < p.h;
    const float* row = inside ? p.x + (image * p.h + y) * p.w * p.channels : p.x;
    if (plan.dense_rows) {
      copy_padded_row(row, inside, x0, p.taps_w, p.w, p.channels, to);
      to += p.taps_w * p.cin;
      continue;
    }
    for (int64_t j = 0; j < p.taps_w; ++j, to += p.cin) {
      const int64_t x = x0 + j * p.dilation_w;
      if (inside && x >= 0 && x < p.w)
        copy_floats(row + x * p.channels + group * p.cin, to, p.cin);
      else
        zero_floats(to, p.cin);
    }
  }
}

// Tiles of gathered rows end where an output row ends, as only within one the outputs are evenly spaced — unless the
// whole output is.
inline void run_gathered(const ConvProblem& p, const ConvPlan& plan, int64_t block, int64_t group, int64_t share,
                         float* scratch) {
  const int64_t all = p.images * p.oh * p.ow, begin = block * plan.block, end = std::min(all, begin + plan.block);
  for (int64_t pixel = begin; pixel < end; ++pixel)
    gather_window(p, plan, pixel, group, scratch + (pixel - begin) * plan.gathered_row);
  const bool even = p.y_row == p.ow * p.y_pixel && p.y_image == p.oh * p.y_row;
  const auto tile_at = [&](int64_t pixel, int64_t rows) HWY_ATTR {
    const int64_t ox = pixel % p.ow, oy = pixel / p.ow % p.oh, image = pixel / p.ow / p.oh;
    return BlockTile{{.a = scratch + (pixel - begin) * plan.gathered_row, .row = plan.gathered_row, .run = p.k()},
                     rows,
                     image * p.y_image + oy * p.y_row + ox * p.y_pixel};
  };
  if (even) {
    const Deal deal(end - begin);
    run_panels(p, plan, group, share, deal.tiles,
               [&](int64_t tile) HWY_ATTR { return tile_at(begin + deal.first(tile), deal.size(tile)); });
    return;
  }
  for (int64_t pixel = begin; pixel < end;) {
    const int64_t n = std::min(end, (pixel / p.ow + 1) * p.ow) - pixel;
    const Deal deal(n);
    run_panels(p, plan, group, share, deal.tiles,
               [&](int64_t tile) HWY_ATTR { return tile_at(pixel + deal.first(tile), deal.size(tile)); });
    pixel += n;
  }
}

// scratch: threads() x round_up(plan.scratch_floats, 16) floats
inline void run_convolution(ThreadPool& pool, const ConvProblem& p, float* scratch) {
  if (p.images * p.oh * p.ow * p.cout == 0) return;
  const ConvPlan plan = plan_convolution(p);
  pool.parallel_for(plan.tasks(p), [&](int64_t task, int slot) HWY_ATTR {
    const int64_t share = task % plan.panel_groups, rest = task / plan.panel_groups;
    const int64_t group = rest % p.groups, block = rest / p.groups;
    float* own = scratch + slot * round_up(plan.scratch_floats, 16);
    switch (plan.path) {
      case ConvPath::pixels:
        return run_pixels(p, plan, block, group, share);
      case ConvPath::rows:
        return run_rows(p, plan, block, group, share, own);
      case ConvPath::gathered:
        return run_gathered(p, plan, block, group, share, own);
    }
  });
}

inline int64_t convolution_scratch_floats(const ConvProblem& p, int threads) {
  if (p.images * p.oh * p.ow * p.cout == 0) return 0;
  return threads * round_up(plan_convolution(p).scratch_floats, 16);
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
