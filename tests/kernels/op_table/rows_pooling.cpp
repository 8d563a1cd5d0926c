// Rows of pooling. Ties and NaN decide which pixel wins a maximum; padding decides what a mean is divided by.
#include "tests/kernels/op_table/op_case.h"

namespace graft::test {
namespace {

using namespace op;

template <typename Args, typename Image>
Shape pooled(const Args& args) {
  Args copy = args;
  const Shape image = Image::in(copy).shape;
  const PoolParams& p = args.pool;
  if (image.rank != 4 || p.stride.h < 1 || p.stride.w < 1) return {1, 1, 1, 1};
  return {image[0], output_extent(image[1], p.pad.top, p.pad.bottom, p.window.h, 1, p.stride.h),
          output_extent(image[2], p.pad.left, p.pad.right, p.window.w, 1, p.stride.w), image[3]};
}

// For each window the number of one of its real pixels, drawn by hash.
Fill any_winner(const Shape& image, const Shape& output, const PoolParams& p) {
  return [=](int64_t i, double hash) {
    const int64_t w = i / output[3] % output[2], h = i / output[3] / output[2] % output[1];
    std::vector<int> real;
    for (int r = 0; r < p.window.h; ++r)
      for (int s = 0; s < p.window.w; ++s) {
        const int64_t ih = h * p.stride.h - p.pad.top + r, iw = w * p.stride.w - p.pad.left + s;
        if (ih >= 0 && ih < image[1] && iw >= 0 && iw < image[2]) real.push_back(r * p.window.w + s);
      }
    return real.empty() ? 0.0 : real[static_cast<size_t>((hash + 1) * 0.5 * static_cast<double>(real.size()))];
  };
}

template <typename Image>
void window_rows(auto& entry) {
  entry.row(Image{2, 5, 7, 3}, window(2))
      .row(Image{1, 1, 1, 1}, window(1))
      .row(Image{1, 12, 12, 16}, window(3), stride(2), pad(1))  // ResNet's
      .row(Image{1, 8, 8, 64}, window(2), stride(2))            // VGG's
      .row(Image{2, 16, 16, 32}, window(3), stride(2), pad(1))  // more than one block of a GPU, 16 bytes at a time
      .row(Image{2, 9, 11, 7}, window(3), pad(1))
      .row(Image{2, 7, 5, 3}, window(3), pad(1))
      .row(Image{3, 9, 11, 8}, window(3, 2), stride(2, 3), pad(1, 2, 0, 1))
      .row(Image{1, 13, 9, 15}, window(5, 3), stride(3, 1), pad(2, 0, 1, 2))
      .row(Image{2, 6, 6, 17}, window(6), stride(6))
      .row(Image{1, 10, 7, 33}, window(2), stride(3))  // pixels in no window
      .row(Image{1, 20, 20, 2}, window(15), stride(4), pad(7))
      .row(Image{0, 8, 8, 4}, window(2), stride(2))
      .row(Image{1, 3, 3, 4}, window(5), pad(0, 1, 0, 1), invalid("the window is larger than the padded input"))
      .row(Image{1, 8, 8, 4}, window(0), invalid("an empty window"))
      .row(Image{1, 8, 8, 4}, window(2), stride(0), invalid("stride 0"))
      .row(Image{1, 8, 8, 4}, window(3), pad(1, 1, -1, 1), invalid("negative padding"))
      .row(Image{1, 8, 8, 4}, window(2), pad(2), invalid("windows that hold no real pixel"));
}

template <typename Image>
void adaptive_rows(auto& entry, auto output) {
  entry.row(Image{2, 5, 7, 3}, output(2, 1, 1, 3))
      .row(Image{1, 1, 1, 1}, output(1, 1, 1, 1))
      .row(Image{3, 7, 7, 33}, output(3, 1, 1, 33))
      .row(Image{2, 9, 8, 16}, output(2, 1, 1, 16))
      .row(Image{1, 14, 13, 8}, output(1, 7, 7, 8))
      .row(Image{1, 10, 11, 15}, output(1, 3, 4, 15))  // overlapping windows
      .row(Image{1, 3, 3, 5}, output(1, 7, 7, 5))      // VGG on small images: pixels repeated
      .row(Image{2, 6, 6, 17}, output(2, 6, 6, 17))
      .row(Image{0, 5, 5, 4}, output(0, 1, 1, 4))
      .row(Image{1, 5, 5, 4}, output(1, 1, 1, 5), invalid("channels differ"))
      .row(Image{1, 5, 5, 4}, output(2, 1, 1, 4), invalid("batches differ"));
}

}  // namespace

void add_pooling_rows(OpEntries& table) {
  {
    auto entry = op_case<MaxPoolArgs>(table, [](auto& row) {
      const Shape out = pooled<MaxPoolArgs, x>(row.args);
      row.required(y(out));
      row.optional(index(out));
    });
    window_rows<x>(entry);
    entry.row(x{1, 12, 12, 16}, window(3), stride(2), pad(1), with<index>)
        .row(x{2, 7, 9, 19}.filled(quantised(2)), window(3), pad(1), with<index>)  // many equals
        .row(x{1, 9, 9, 8}.filled(values({-2})), window(3, 2), stride(2), pad(1, 1, 1, 0), with<index>)
        .row(x{1, 9, 9, 3}.filled(uniform(-9, -8)), window(3), stride(2), pad(1), with<index>)  // padding never wins
        .row(x{2, 9, 7, 5}.filled(salted(uniform(), {kNan}, 11)), window(3), stride(2), pad(1), with<index>)
        .row(x{2, 9, 7, 16}.filled(salted(uniform(), {kNan, kInf, -kInf}, 3)), window(2), with<index>)
        .row(x{1, 8, 8, 33}.filled(values({-kInf})), window(3), stride(2), pad(1), with<index>)
        .row(x{1, 17, 16, 3}, window(15, 17), pad(0, 0, 1, 0), with<index>)
        .row(x{1, 17, 17, 2}, window(16))  // no index asked for
        .row(x{1, 17, 17, 2}, window(16), with<index>, invalid("256 pixels do not fit in an index"))
        .row(x{1, 8, 8, 4}, window(2), index{1, 7, 7, 3}, invalid("an index unlike y"))
        .row(x{1, 8, 8, 4}, window(2), y{1, 8, 8, 4}, invalid("y is too large"));
  }
  {
    auto entry = op_case<MaxPoolBackwardArgs>(table, [](auto& row) {
      const Shape out = pooled<MaxPoolBackwardArgs, dx>(row.args);
      row.required(dy(out));
      row.required(index(out).filled(any_winner(row.args.dx.shape, out, row.args.pool)));
    });
    window_rows<dx>(entry);
    entry.row(dx{1, 17, 17, 2}, window(16), invalid("256 pixels do not fit in an index"));
  }
  {
    auto entry = op_case<AvgPoolArgs>(table, [](auto& row) { row.required(y(pooled<AvgPoolArgs, x>(row.args))); });
    window_rows<x>(entry);
    entry.row(x{1, 9, 7, 5}, window(3), stride(2), pad(1), count_include_pad(0))
        .row(x{2, 6, 8, 16}, window(4, 3), pad(3, 2, 1, 2), count_include_pad(0))
        .row(x{1, 17, 17, 2}, window(16));
  }
  {
    auto entry = op_case<AvgPoolBackwardArgs>(
        table, [](auto& row) { row.required(dy(pooled<AvgPoolBackwardArgs, dx>(row.args))); });
    window_rows<dx>(entry);
    entry.row(dx{1, 9, 7, 5}, window(3), stride(2), pad(1), count_include_pad(0))
        .row(dx{2, 6, 8, 16}, window(4, 3), pad(3, 2, 1, 2), count_include_pad(0));
  }
  {
    auto entry = op_case<AdaptiveAvgPoolArgs>(table, [](auto&) {});
    adaptive_rows<x>(entry, [](auto... extents) { return y{extents...}; });
    entry.row(x{1, 5, 5, 4}, y{1, 0, 1, 4}, invalid("no rows"));
  }
  {
    auto entry = op_case<AdaptiveAvgPoolBackwardArgs>(table, [](auto&) {});
    adaptive_rows<dx>(entry, [](auto... extents) { return dy{extents...}; });
  }
}

}  // namespace graft::test
