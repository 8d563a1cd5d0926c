// Rows of conv2d and depthwise_conv2d, forward and both ways back. Channels lie around vector widths, extents are odd
// or prime, padding is asymmetric where it can be; empty batches must leave zeros in dweight.
#include <algorithm>

#include "tests/kernels/op_table/op_case.h"

namespace graft::test {
namespace {

using namespace op;

Shape windows(const Shape& image, const Shape& weight, const Conv2dParams& p, int first_tap_axis, int64_t channels) {
  if (p.stride.h < 1 || p.stride.w < 1) return {image[0], 1, 1, channels};  // a row that is refused: any y will do
  const int64_t taps_h = weight[first_tap_axis], taps_w = weight[first_tap_axis + 1];
  return {image[0], output_extent(image[1], p.pad.top, p.pad.bottom, taps_h, p.dilation.h, p.stride.h),
          output_extent(image[2], p.pad.left, p.pad.right, taps_w, p.dilation.w, p.stride.w), channels};
}

// A row names the image and the weight by the tensors that all three directions have or make.
template <typename Args, typename Image, typename Weight>
Shape output_of(const Args& args) {
  Args copy = args;
  const Shape image = Image::in(copy).shape, filter = Weight::in(copy).shape;
  const bool dense = filter.rank == 4;
  return windows(image, filter, args.conv, dense ? 1 : 0, dense ? filter[0] : image[3]);
}

// squeeze[n,c] = Σ_{h,w} y[n,h,w,c]
void sum_pixels(const void* args) {
  const auto& a = *static_cast<const DepthwiseConv2dArgs*>(args);
  const int64_t channels = a.y.shape[3], image = a.y.shape[1] * a.y.shape[2] * channels;
  std::fill_n(a.squeeze.as<double>(), a.squeeze.numel(), 0.0);
  for (int64_t i = 0; i < a.y.numel(); ++i)
    a.squeeze.as<double>()[i / image * channels + i % channels] += a.y.as<double>()[i];
}

// What forward, backward by data and backward by weights share; Image is x or dx, Weight is weight or dweight.
template <typename Image, typename Weight>
void dense_rows(auto& entry) {
  entry.row(Image{1, 5, 7, 3}, Weight{4, 3, 3, 3})
      .row(Image{1, 1, 1, 1}, Weight{1, 1, 1, 1})
      .row(Image{2, 7, 5, 3}, Weight{8, 3, 3, 3}, pad(1))
      .row(Image{1, 8, 9, 8}, Weight{15, 3, 3, 8}, pad(1), stride(2))
      .row(Image{3, 13, 11, 15}, Weight{17, 1, 1, 15})
      .row(Image{1, 9, 9, 16}, Weight{16, 1, 1, 16}, stride(2))
      .row(Image{2, 6, 6, 33}, Weight{64, 3, 3, 33}, pad(1))
      .row(Image{1, 14, 14, 64}, Weight{33, 3, 3, 64}, pad(1))
      .row(Image{1, 5, 5, 128}, Weight{70, 1, 1, 128})
      .row(Image{1, 3, 3, 300}, Weight{5, 3, 3, 300}, pad(1))
      .row(Image{1, 23, 23, 3}, Weight{16, 7, 7, 3}, pad(3), stride(2))
      .row(Image{2, 11, 8, 4}, Weight{6, 3, 5, 4}, pad(0, 1, 2, 1), stride(2, 3))
      .row(Image{1, 10, 10, 4}, Weight{5, 2, 2, 4}, pad(0, 1, 0, 1))
      .row(Image{1, 13, 13, 8}, Weight{8, 3, 3, 8}, pad(2), dilation(2))
      .row(Image{1, 12, 17, 5}, Weight{7, 3, 2, 5}, pad(3, 2, 1, 0), dilation(2, 3), stride(3, 2))
      .row(Image{1, 4, 4, 3}, Weight{4, 3, 3, 3}, pad(5))  // windows that hold padding only
      .row(Image{1, 6, 7, 8}, Weight{12, 3, 3, 2}, pad(1), groups(4))
      .row(Image{2, 5, 5, 6}, Weight{6, 3, 3, 1}, pad(1), groups(6))
      .row(Image{1, 7, 7, 34}, Weight{6, 3, 3, 17}, pad(1), groups(2), stride(2))
      .row(Image{0, 5, 5, 4}, Weight{3, 3, 3, 4}, pad(1))
      .row(Image{1, 5, 5, 0}, Weight{4, 3, 3, 0}, pad(1))  // sums of nothing
      .row(Image{1, 5, 5, 4}, Weight{0, 3, 3, 4}, pad(1))
      .row(Image{1, 3, 3, 4}, Weight{3, 5, 5, 4}, invalid("the kernel is larger than the input"))
      .row(Image{1, 3, 3, 4}, Weight{3, 3, 3, 4}, dilation(2), invalid("the dilated kernel is larger than the input"))
      .row(Image{1, 5, 5, 4}, Weight{3, 3, 3, 5}, invalid("channels differ"))
      .row(Image{1, 5, 5, 6}, Weight{4, 3, 3, 2}, groups(4), invalid("6 channels in 4 groups"))
      .row(Image{1, 5, 5, 6}, Weight{4, 3, 3, 2}, groups(3), invalid("4 outputs in 3 groups"))
      .row(Image{1, 5, 5, 4}, Weight{4, 3, 3, 4}, groups(0), invalid("no group"))
      .row(Image{1, 5, 5, 4}, Weight{3, 3, 3, 4}, stride(0), invalid("stride 0"))
      .row(Image{1, 5, 5, 4}, Weight{3, 3, 3, 4}, stride(1, -1), invalid("a negative stride"))
      .row(Image{1, 5, 5, 4}, Weight{3, 3, 3, 4}, dilation(0), invalid("dilation 0"))
      .row(Image{1, 5, 5, 4}, Weight{3, 3, 3, 4}, pad(1, 1, -1, 1), invalid("negative padding"))
      .row(Image{1, 5, 5}, Weight{3, 3, 3, 4}, invalid("an image of three axes"));
}

template <typename Image, typename Weight>
void depthwise_rows(auto& entry) {
  entry.row(Image{1, 5, 7, 3}, Weight{3, 3, 3})
      .row(Image{1, 1, 1, 1}, Weight{1, 1, 1})
      .row(Image{2, 7, 5, 3}, Weight{3, 3, 3}, pad(1))
      .row(Image{1, 8, 9, 8}, Weight{3, 3, 8}, pad(1), stride(2))
      .row(Image{2, 9, 8, 15}, Weight{5, 5, 15}, pad(2))
      .row(Image{1, 7, 7, 16}, Weight{5, 5, 16}, pad(2), stride(2))
      .row(Image{1, 9, 11, 17}, Weight{3, 3, 17}, pad(0, 1, 0, 1), stride(2))
      .row(Image{3, 13, 17, 33}, Weight{5, 5, 33}, pad(2, 1, 2, 1), stride(2))
      .row(Image{1, 14, 14, 64}, Weight{3, 3, 64}, pad(1))
      .row(Image{1, 6, 6, 100}, Weight{7, 7, 100}, pad(3))
      .row(Image{1, 13, 9, 5}, Weight{3, 5, 5}, pad(3, 2, 1, 4), dilation(2, 1), stride(3, 2))
      .row(Image{1, 4, 4, 3}, Weight{3, 3, 3}, pad(5))
      .row(Image{1, 4, 5, 4}, Weight{3, 3, 4}, pad(4, 0, 1, 5))
      .row(Image{1, 7, 6, 8}, Weight{5, 5, 8}, pad(5, 1, 3, 4), stride(2))
      .row(Image{3, 9, 11, 72}, Weight{3, 3, 72}, pad(1, 0, 1, 1), stride(2))
      .row(Image{2, 9, 13, 68}, Weight{5, 5, 68}, pad(2, 1, 2, 3))
      .row(Image{2, 11, 9, 72}, Weight{5, 5, 72}, pad(2, 1, 2, 1), stride(2))
      .row(Image{1, 6, 70, 64}, Weight{3, 3, 64}, pad(1))
      .row(Image{1, 17, 19, 64}, Weight{3, 3, 64}, pad(1))
      .row(Image{40, 3, 4, 68}, Weight{3, 3, 68}, pad(1))
      .row(Image{2, 14, 13, 6}, Weight{3, 3, 6}, pad(1), dilation(2))
      .row(Image{2, 9, 10, 12}, Weight{4, 3, 12}, pad(2), dilation(1, 2), stride(2, 4))
      .row(Image{1, 5, 5, 4}, Weight{3, 3, 4}, pad(1), groups(3))  // not looked at
      .row(Image{0, 8, 8, 16}, Weight{3, 3, 16}, pad(1))
      .row(Image{1, 8, 8, 0}, Weight{3, 3, 0}, pad(1))
      .row(Image{1, 2, 2, 4}, Weight{5, 5, 4}, pad(1), invalid("the kernel is larger than the padded input"))
      .row(Image{1, 5, 5, 4}, Weight{3, 3, 5}, invalid("channels differ"))
      .row(Image{1, 5, 5, 4}, Weight{3, 3, 4}, stride(0, 1), invalid("stride 0"))
      .row(Image{1, 5, 5, 4}, Weight{3, 3, 4}, dilation(1, 0), invalid("dilation 0"))
      .row(Image{1, 5, 5, 4}, Weight{3, 3, 4}, pad(1, -1, 1, 1), invalid("negative padding"));
}

}  // namespace

void add_convolution_rows(OpEntries& table) {
  {
    auto entry = op_case<Conv2dArgs>(table, [](auto& row) {
      const Shape out = output_of<Conv2dArgs, x, weight>(row.args);
      row.optional(bias({out[3]}));
      row.optional(residual(out));
      row.required(y(out));
    });
    dense_rows<x, weight>(entry);
    entry.each_activation(x{2, 7, 6, 9}.filled(uniform(-3, 3)), weight{19, 3, 3, 9}, pad(1), with<bias, residual>)
        .each_activation(x{2, 5, 5, 17}.filled(uniform(-3, 3)), weight{16, 1, 1, 17}, with<bias>)
        // Long sums, in parts, and what is added behind them; one with groups.
        .row(x{1, 6, 6, 32}, weight{12, 3, 3, 32}, pad(1), with<bias, residual>, activation(silu))
        .row(x{1, 5, 6, 64}, weight{10, 3, 3, 32}, pad(1), groups(2), with<bias, residual>, activation(relu))
        // Many pixels and many outputs, for the larger tiles of a blocked product.
        .row(x{1, 34, 30, 4}, weight{1020, 3, 1, 4}, pad(1, 1, 0, 0), with<bias>, activation(relu6))
        .row(x{1, 22, 23, 4}, weight{508, 3, 1, 4}, pad(1, 1, 0, 0), with<residual>)
        .row(x{1, 22, 23, 5}, weight{509, 3, 1, 5}, pad(1, 1, 0, 0), with<bias, residual>)
        .row(x{1, 6, 5, 8}, weight{8, 3, 3, 8}, pad(1), with<residual>, activation(relu))
        .row(x{1, 6, 6, 8}, weight{10, 3, 3, 4}, groups(2), pad(1), stride(2), with<bias, residual>, activation(silu))
        .row(x{1, 9, 9, 8}.filled(with_value_at(300, kNan)), weight{8, 3, 3, 8}, pad(1))  // NaN in nine pixels
        .row(x{1, 5, 5, 8}, weight{4, 3, 3, 8}, bias{4}.filled(values({0, kNan, -kInf, 1})), activation(relu))
        .row(x{1, 4, 4, 2}, weight{4, 3, 3, 2}, pad(5), with<bias>)  // padding only: the bias alone
        .row(x{1, 4, 4, 64}, weight{8, 3, 3, 64}, pad(1), with<bias, residual>, activation(silu))  // sums in parts
        .row(x{1, 9, 9, 256}, weight{2304, 1, 1, 8}, groups(32))  // large tiles of 16-bit elements
        .row(x{1, 5, 5, 4}, weight{3, 3, 3, 4}, bias{4}, invalid("a bias of 4 for 3 outputs"))
        .row(x{1, 5, 5, 4}, weight{3, 3, 3, 4}, residual{1, 3, 3, 4}, invalid("a residual unlike y"))
        .row(x{1, 5, 5, 4}, weight{3, 3, 3, 4}, residual{1, 3, 3, 3}.as(DType::i64), invalid("a residual of integers"))
        .row(x{1, 5, 5, 4}, weight{3, 3, 3, 4}, y{1, 5, 5, 3}, invalid("y is too large"))
        .row(x{1, 5, 5, 4}, weight{3, 3, 3, 4}, activation(99), invalid("no such activation"));
  }
  {
    auto entry = op_case<Conv2dBackwardDataArgs>(
        table, [](auto& row) { row.required(dy(output_of<Conv2dBackwardDataArgs, dx, weight>(row.args))); });
    dense_rows<dx, weight>(entry);
    entry
        .row(dx{1, 8, 8, 3}, weight{4, 1, 1, 3}, stride(3))  // pixels that no window sees
        .row(dx{1, 9, 8, 3}, weight{4, 3, 3, 3}, stride(5), pad(1))
        .row(dx{1, 3, 4, 3}, weight{4, 2, 3, 3}, stride(7))
        .row(dx{1, 7, 9, 8}, weight{64, 3, 3, 8}, pad(1), stride(2))       // long sums, of as many terms as taps meet
        .row(dx{1, 34, 30, 1020}, weight{4, 3, 1, 1020}, pad(1, 1, 0, 0))  // many pixels and many channels
        .row(dx{1, 22, 23, 508}, weight{4, 3, 1, 508}, pad(1, 1, 0, 0))
        .row(dx{1, 22, 23, 509}, weight{5, 3, 1, 509}, pad(1, 1, 0, 0))
        .row(dx{1, 8, 8, 8}, weight{128, 3, 3, 8}, pad(1), stride(2))  // long sums in one phase, short ones in others
        .row(dx{1, 9, 9, 2304}, weight{256, 1, 1, 72}, groups(32))
        .row(dx{1, 5, 5, 4}, weight{3, 3, 3, 4}, dy{1, 5, 5, 3}, invalid("dy is too large"));
  }
  {
    auto entry = op_case<Conv2dBackwardWeightArgs>(
        table, [](auto& row) { row.required(dy(output_of<Conv2dBackwardWeightArgs, x, dweight>(row.args))); });
    dense_rows<x, dweight>(entry);
    entry
        .row(x{7, 17, 19, 5}, dweight{9, 3, 3, 5}, pad(1))  // long sums
        .row(x{4, 24, 24, 8}, dweight{16, 3, 3, 8}, pad(1))
        .row(x{1, 3, 3, 2304}, dweight{2304, 1, 1, 72}, groups(32))
        .row(x{1, 96, 97, 2}, dweight{3, 3, 3, 2}, pad(1))  // so long that a part of the sum is itself in parts
        .row(x{1, 3, 4, 340}, dweight{1020, 3, 1, 340}, pad(1, 1, 0, 0))  // many channels and many outputs
        .row(x{1, 3, 4, 168}, dweight{508, 3, 1, 168}, pad(1, 1, 0, 0))
        .row(x{1, 3, 4, 169}, dweight{509, 3, 1, 169}, pad(1, 1, 0, 0))
        .row(x{1, 5, 5, 4}, dweight{3, 3, 3, 4}, dy{1, 5, 5, 3}, invalid("dy is too large"));
  }
  {
    auto entry = op_case<DepthwiseConv2dArgs>(table, [](auto& row) {
      row.optional(bias({row.args.x.shape[3]}));
      row.required(y(output_of<DepthwiseConv2dArgs, x, weight>(row.args)));
      row.optional(squeeze({row.args.x.shape[0], row.args.x.shape[3]}));
    });
    entry.derived<squeeze>(sum_pixels);
    depthwise_rows<x, weight>(entry);
    entry.each_activation(x{2, 7, 6, 19}.filled(uniform(-4, 4)), weight{3, 3, 19}, pad(1), with<bias>)
        .row(x{1, 9, 9, 8}.filled(with_value_at(300, kNan)), weight{3, 3, 8}, pad(1))
        .row(x{1, 6, 6, 33}, weight{5, 5, 33}, pad(2), stride(2), with<bias>, activation(silu))
        .row(x{1, 6, 7, 12}, weight{3, 3, 12}.filled(with_value_at(13, kInf)),
             pad(1))  // meets no padding: no NaN of it
        .row(x{1, 8, 7, 8}, weight{5, 5, 8}.filled(with_value_at(13, kNan)), pad(2), stride(2), with<squeeze>)
        .each_activation(x{2, 7, 6, 20}.filled(uniform(-4, 4)), weight{3, 3, 20}, pad(1), with<bias, squeeze>)
        .row(x{2, 31, 18, 12}, weight{3, 3, 12}, pad(1), with<squeeze>)
        .row(x{3, 9, 7, 33}, weight{5, 5, 33}, pad(2), stride(2), with<bias, squeeze>, activation(relu6))
        .row(x{2, 25, 9, 160}, weight{5, 5, 160}, pad(2), with<bias, squeeze>, activation(silu))
        .row(x{0, 8, 8, 16}, weight{3, 3, 16}, pad(1), with<squeeze>)
        .row(x{1, 5, 5, 4}, weight{3, 3, 4}, squeeze{1, 3}, invalid("sums of 3 channels of 4"))
        .row(x{1, 5, 5, 4}, weight{3, 3, 4}, bias{3}, invalid("a bias of 3 for 4 channels"))
        .row(x{1, 5, 5, 4}, weight{3, 3, 4}, y{1, 3, 4, 4}, invalid("y is too wide"))
        .row(x{1, 5, 5, 4}, weight{3, 3, 4}, activation(-1), invalid("no such activation"));
  }
  {
    auto entry = op_case<DepthwiseConv2dBackwardDataArgs>(
        table, [](auto& row) { row.required(dy(output_of<DepthwiseConv2dBackwardDataArgs, dx, weight>(row.args))); });
    depthwise_rows<dx, weight>(entry);
    entry.row(dx{1, 8, 8, 3}, weight{1, 1, 3}, stride(3))
        .row(dx{1, 6, 7, 8}, weight{3, 3, 8}.filled(with_value_at(13, kInf)), pad(1))
        .row(dx{1, 6, 7, 8}, weight{3, 3, 8}.filled(with_value_at(60, kInf)), pad(1), stride(2));
  }
  {
    auto entry = op_case<DepthwiseConv2dBackwardWeightArgs>(
        table, [](auto& row) { row.required(dy(output_of<DepthwiseConv2dBackwardWeightArgs, x, dweight>(row.args))); });
    depthwise_rows<x, dweight>(entry);
    entry.row(x{7, 17, 19, 5}, dweight{3, 3, 5}, pad(1))
        .row(x{3, 17, 19, 8}, dweight{3, 3, 8}, pad(1))
        .row(x{1, 9, 9, 8}.filled(with_value_at(300, kInf)), dweight{3, 3, 8}, pad(1))
        .row(x{1, 9, 9, 8}, dweight{3, 3, 8}, dy{1, 9, 9, 8}.filled(with_value_at(5, kInf)), pad(1));  // in a corner
  }
}

}  // namespace graft::test
