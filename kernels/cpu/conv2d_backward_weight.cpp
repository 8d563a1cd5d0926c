// Convolution, gradient by the weight: dweight[k, tap, c] = Σ over pixels dy[p, k] · x[p · stride − pad + tap ·
// dilation, c].
//
// A sum of outer products. For a block of output pixels, dy is packed [14 output channels][pixel][16] and x is laid out
// so that a tap is a shift; tile_outer then keeps 14 x 32 sums in registers while it walks the block. x is laid out as
//   band      [32 channels][row][column][32], padding included: shared by all taps
//   flat      rows as they are, padding included, for few channels (the stem): (tap column, channel) is one axis
//   gathered  [32 channels][pixel][32] anew for each tap: 1x1, and windows far wider than what they hold
//
// The pixels are cut into `parts`, fixed by shape, each with sums of its own in the workspace, added at the end in
// order: the same bits with any number of threads. Output channels are cut into shares for more parallel work. Traffic:
// x and dy once for each share, dweight once for each block. Bound by the multipliers; by packing below 32 channels.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/conv2d_backward_weight.cpp"
#include "hwy/foreach_target.h"
#include "kernels/cpu/conv_engine-inl.h"
#include "kernels/cpu/workspace.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {
namespace {

enum class Layout { band, flat, gathered };

struct Plan {
  int64_t images, h, w, channels, oh, ow, filters;  // of all groups
  int64_t taps_h, taps_w, groups, cin, cout;        // cin, cout of one group
  Conv2dParams conv;

  Layout layout;
  int64_t columns;  // of one product: cin, or taps_w · cin (flat)
  int64_t block_images, block_rows, blocks;
  int64_t band_h, band_w, band_pitch;  // of a block; flat: floats in a row
  int64_t parts, shares;               // of the pixels; of the output channels
  int64_t share_tiles, a_floats, b_floats;

  // Packed panels lie a line more than their size apart: a power of two would put them all in the same cache sets.
  static int64_t dy_panel(int64_t pixels) { return pixels * kOuterRows + 16; }
  int64_t x_panel(int64_t pixels) const {
    return (layout == Layout::band ? block_images * band_h * band_pitch : pixels * kPanel) + 16;
  }

  int64_t weight_floats() const { return filters * taps_h * taps_w * cin; }
  int64_t block_pixels() const { return block_images * block_rows * ow; }
  int64_t blocks_per_image() const { return ceil_div(oh, block_rows); }
};

Plan plan_of(const Conv2dBackwardWeightArgs& a) {
  const Shape &x = a.x.shape, &dy = a.dy.shape, &w = a.dweight.shape;
  Plan p{};
  p.images = x[0], p.h = x[1], p.w = x[2], p.channels = x[3], p.oh = dy[1], p.ow = dy[2], p.filters = w[0];
  p.taps_h = w[1], p.taps_w = w[2], p.groups = a.conv.groups, p.cin = w[3], p.cout = w[0] / p.groups;
  p.conv = a.conv;
  const bool one_tap = p.taps_h == 1 && p.taps_w == 1;
  if (one_tap && a.conv.stride == Extent2{1, 1} && a.conv.pad == Padding{}) {  // any run of pixels is as good as a row
    p.oh = p.h = p.images * p.h * p.w;
    p.ow = p.w = p.images = 1;
  }

  p.shares = std::max<int64_t>(1, ceil_div(p.cout, 8 * kTileRows));
  p.share_tiles = ceil_div(Deal(p.cout).tiles, p.shares);

  // A block: its packed x and dy stay in L2, its panels in L1.
  const int64_t pixel_floats = p.cin + p.share_tiles * kOuterRows;
  const int64_t wanted = std::clamp<int64_t>(250000 / std::max<int64_t>(pixel_floats, 1), 64, 512);
  p.block_rows = std::clamp<int64_t>(wanted / std::max<int64_t>(p.ow, 1), 1, std::max<int64_t>(p.oh, 1));
  p.block_images = 1;
  if (p.block_rows == p.oh)
    p.block_images = std::clamp<int64_t>(wanted / std::max<int64_t>(p.oh * p.ow, 1), 1, std::max<int64_t>(p.images, 1));
  p.blocks = p.block_images > 1 ? ceil_div(p.images, p.block_images) : p.images * p.blocks_per_image();

  p.band_h = (p.block_rows - 1) * a.conv.stride.h + (p.taps_h - 1) * a.conv.dilation.h + 1;
  p.band_w = (p.ow - 1) * a.conv.stride.w + (p.taps_w - 1) * a.conv.dilation.w + 1;
  const bool wide = static_cast<double>(p.band_h) * static_cast<double>(p.band_w) >
                    static_cast<double>(p.taps_h * p.taps_w) * static_cast<double>(p.block_rows * p.ow);
  const bool few_channels = p.groups == 1 && p.cin < kLanes && (a.conv.dilation.w == 1 || p.taps_w == 1);
  p.layout = one_tap || wide ? Layout::gathered : few_channels ? Layout::flat : Layout::band;

  const int64_t panels = panels_of(p.cin);
  p.columns = p.layout == Layout::flat ? p.taps_w * p.cin : p.cin;
  p.band_pitch = p.layout == Layout::flat ? p.band_w * p.cin : p.band_w * kPanel;
  p.a_floats = round_up(p.share_tiles * Plan::dy_panel(p.block_pixels()), 16);
  switch (p.layout) {
    case Layout::band:
      p.b_floats = panels * p.x_panel(0);
      break;
    case Layout::flat:
      p.b_floats = p.block_images * p.band_h * p.band_pitch + 2 * kPanel + p.columns;
      break;
    case Layout::gathered:
      p.b_floats = panels * p.x_panel(p.block_pixels());
      break;
  }
  p.b_floats = round_up(p.b_floats, 16);

  const int64_t most = p.weight_floats() <= (1 << 16) ? 16 : p.weight_floats() <= 600000 ? 4 : 2;
  p.parts = std::clamp<int64_t>(p.blocks, 1, most);
  return p;
}

// dy's channels of the tiles [first, first + tiles) of group g, [tile][pixel][kOuterRows]; a tile's first rows count.
void pack_dy(const Plan& p, const float* dy, const Deal& deal, int64_t group, int64_t first, int64_t tiles,
             int64_t pixels, float* to) {
  const int64_t past = p.filters - group * p.cout;  // channels from this group's first to the end of the pixel
  for (int64_t pixel = 0; pixel < pixels; ++pixel, dy += p.filters)
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t channel = deal.first(first + t);
      const float* from = dy + group * p.cout + channel;
      for (int64_t i = 0; i < kOuterRows; i += kLanes)
        store(load_up_to(from + i, std::clamp<int64_t>(past - channel - i, 0, kLanes)),
              to + t * Plan::dy_panel(pixels) + pixel * kOuterRows + i);
    }
}

// `channels` floats of a pixel spread over panels `panel` floats apart; from nullptr: zeros.
HWY_INLINE void spread(const float* from, int64_t channels, float* to, int64_t panel) {
  for (int64_t c = 0; c < channels; c += kPanel, to += panel) {
    const int64_t n0 = std::min<int64_t>(kLanes, channels - c),
                  n1 = std::clamp<int64_t>(channels - c - kLanes, 0, kLanes);
    store(from != nullptr ? load_up_to(from + c, n0) : zero(), to);
    store(from != nullptr && n1 > 0 ? load_up_to(from + c + kLanes, n1) : zero(), to + kLanes);
  }
}

struct Block {
  int64_t image, images, row, rows;
  int64_t pixels;
};
Block block_of(const Plan& p, int64_t i) {
  Block b{};
  if (p.block_images > 1) {
    b.image = i * p.block_images, b.images = std::min(p.block_images, p.images - b.image), b.rows = p.oh;
  } else {
    b.image = i / p.blocks_per_image(), b.images = 1;
    b.row = i % p.blocks_per_image() * p.block_rows, b.rows = std::min(p.block_rows, p.oh - b.row);
  }
  b.pixels = b.images * b.rows * p.ow;
  return b;
}

// The band under a block's windows, in panels or flat.
void pack_band(const Plan& p, const Block& b, const float* x, int64_t group, float* to) {
  const int64_t image_floats = p.band_h * p.band_pitch, panel = p.x_panel(0);
  for (int64_t image = 0; image < b.images; ++image)
    for (int64_t i = 0; i < (b.rows - 1) * p.conv.stride.h + (p.taps_h - 1) * p.conv.dilation.h + 1; ++i) {
      const int64_t y = b.row * p.conv.stride.h - p.conv.pad.top + i;
      const bool inside = y >= 0 && y < p.h;
      const float* row = inside ? x + ((b.image + image) * p.h + y) * p.w * p.channels : x;
      float* line = to + image * image_floats + i * p.band_pitch;
      if (p.layout == Layout::flat) {
        copy_padded_row(row, inside, -p.conv.pad.left, p.band_w, p.w, p.channels, line);
        continue;
      }
      for (int64_t j = 0; j < p.band_w; ++j) {
        const int64_t column = j - p.conv.pad.left;
        const bool valid = inside && column >= 0 && column < p.w;
        spread(valid ? row + column * p.channels + group * p.cin : nullptr, p.cin, line + j * kPanel, panel);
      }
    }
  if (p.layout == Layout::flat) zero_floats(to + b.images * image_floats, 2 * kPanel + p.columns);  // read, not used
}

// The pixels under one tap.
void gather_tap(const Plan& p, const Block& b, const float* x, int64_t group, int64_t r, int64_t s, float* to) {
  const int64_t panel = p.x_panel(b.pixels);
  for (int64_t image = 0; image < b.images; ++image)
    for (int64_t i = 0; i < b.rows; ++i) {
      const int64_t y = (b.row + i) * p.conv.stride.h - p.conv.pad.top + r * p.conv.dilation.h;
      const bool inside = y >= 0 && y < p.h;
      const float* row = inside ? x + ((b.image + image) * p.h + y) * p.w * p.channels : x;
      for (int64_t j = 0; j < p.ow; ++j, to += kPanel) {
        const int64_t column = j * p.conv.stride.w - p.conv.pad.left + s * p.conv.dilation.w;
        const bool valid = inside && column >= 0 && column < p.w;
        spread(valid ? row + column * p.channels + group * p.cin : nullptr, p.cin, to, panel);
      }
    }
}

// One block's products, added to (or stored in) `dweight`.
void add_block(const Plan& p, const Block& b, const float* x, const float* dy, int64_t group, int64_t share,
               bool accumulate, float* dweight, float* packed_dy, float* packed_x) {
  const Deal deal(p.cout);
  const int64_t first = share * p.share_tiles, tiles = std::min(p.share_tiles, deal.tiles - first);
  if (tiles <= 0) return;
  pack_dy(p, dy + ((b.image * p.oh + b.row) * p.ow) * p.filters, deal, group, first, tiles, b.pixels, packed_dy);

  const int64_t filter = p.taps_h * p.taps_w * p.cin;
  const auto multiply = [&](int64_t tile, int64_t column, const float* from, int64_t weight_offset,
                            OuterInput in) HWY_ATTR {
    in.a = packed_dy + tile * Plan::dy_panel(b.pixels);
    in.b = from;
    tile_outer_of(deal.size(first + tile))(
        in, dweight + (group * p.cout + deal.first(first + tile)) * filter + weight_offset + column, filter,
        std::min<int64_t>(kPanel, p.columns - column), accumulate);
  };

  if (p.layout == Layout::gathered) {
    const OuterInput in{.a = nullptr,
                        .b = nullptr,
                        .images = 1,
                        .lines = 1,
                        .pixels = b.pixels,
                        .a_image = 0,
                        .a_line = 0,
                        .b_image = 0,
                        .b_line = 0,
                        .b_step = kPanel};
    for (int64_t tap = 0; tap < p.taps_h * p.taps_w; ++tap) {
      gather_tap(p, b, x, group, tap / p.taps_w, tap % p.taps_w, packed_x);
      for (int64_t tile = 0; tile < tiles; ++tile)
        for (int64_t column = 0; column < p.cin; column += kPanel)
          multiply(tile, column, packed_x + column / kPanel * p.x_panel(b.pixels), tap * p.cin, in);
    }
    return;
  }

  pack_band(p, b, x, group, packed_x);
  const bool flat = p.layout == Layout::flat;
  const int64_t image_floats = p.band_h * p.band_pitch;
  const OuterInput in{.a = nullptr,
                      .b = nullptr,
                      .images = b.images,
                      .lines = b.rows,
                      .pixels = p.ow,
                      .a_image = b.rows * p.ow * kOuterRows,
                      .a_line = p.ow * kOuterRows,
                      .b_image = image_floats,
                      .b_line = p.conv.stride.h * p.band_pitch,
                      .b_step = p.conv.stride.w * (flat ? p.cin : static_cast<int64_t>(kPanel))};
  for (int64_t tile = 0; tile < tiles; ++tile)
    for (int64_t column = 0; column < p.columns; column += kPanel)
      for (int64_t r = 0; r < p.taps_h; ++r) {
        const float* row = packed_x + r * p.conv.dilation.h * p.band_pitch;
        if (flat) {
          multiply(tile, column, row + column, r * p.columns, in);
          continue;
        }
        row += column / kPanel * p.x_panel(0);
        for (int64_t s = 0; s < p.taps_w; ++s)
          multiply(tile, column, row + s * p.conv.dilation.w * kPanel, (r * p.taps_w + s) * p.cin, in);
      }
}

Status conv2d_backward_weight(CallContext& c, const Conv2dBackwardWeightArgs& a) {
  c.kernel = "cpu.conv2d_backward_weight.gemm." GRAFT_ISA;
  const Plan p = plan_of(a);
  float* dweight = a.dweight.as<float>();
  const int64_t floats = p.weight_floats();
  if (floats == 0) return Status::ok;
  if (p.blocks == 0) return zero_floats(dweight, floats), Status::ok;

  Workspace workspace(c.workspace);
  float* partial = workspace.take<float>(p.parts > 1 ? p.parts * floats : 0);
  float* scratch = workspace.take<float>(0);
  const auto sums_of = [&](int64_t part) { return p.parts > 1 ? partial + part * floats : dweight; };
  const auto *x = a.x.as<const float>(), *dy = a.dy.as<const float>();

  pool_of(c).parallel_for(p.parts * p.groups * p.shares, [&](int64_t task, int slot) HWY_ATTR {
    const int64_t share = task % p.shares, group = task / p.shares % p.groups, part = task / p.shares / p.groups;
    const int64_t first = p.blocks * part / p.parts, end = p.blocks * (part + 1) / p.parts;
    float* own = scratch + slot * (p.a_floats + p.b_floats);
    for (int64_t block = first; block < end; ++block)
      add_block(p, block_of(p, block), x, dy, group, share, block > first, sums_of(part), own, own + p.a_floats);
  });

  if (p.parts == 1) return Status::ok;
  constexpr int64_t kChunk = 4096;
  pool_of(c).parallel_for(ceil_div(floats, kChunk), [&](int64_t chunk, int) HWY_ATTR {
    for_vectors(chunk * kChunk, std::min(floats, (chunk + 1) * kChunk), [&](int64_t i, int64_t n) HWY_ATTR {
      V sum = load_up_to(partial + i, n);
      for (int64_t part = 1; part < p.parts; ++part) sum = add(sum, load_up_to(partial + part * floats + i, n));
      store_up_to(sum, dweight + i, n);
    });
  });
  return Status::ok;
}

int64_t conv2d_backward_weight_workspace(int threads, const Conv2dBackwardWeightArgs& a) {
  const Plan p = plan_of(a);
  Workspace workspace;
  if (p.weight_floats() == 0 || p.blocks == 0) return 0;
  workspace.take<float>(p.parts > 1 ? p.parts * p.weight_floats() : 0);
  workspace.take<float>(threads * (p.a_floats + p.b_floats));
  return workspace.bytes();
}

}  // namespace

static void enter_kernels(KernelTable& table) {
  enter<Conv2dBackwardWeightArgs, conv2d_backward_weight>(table);
  enter_workspace<Conv2dBackwardWeightArgs, conv2d_backward_weight_workspace>(table);
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
GRAFT_CPU_FAMILY(conv2d_backward_weight)
#endif
