// Memory traffic of kernels whose threads look through windows: what overlaps comes from L1 and L2.
#include "tests/kernels/cuda/traffic.h"

namespace graft::test {

TEST_CASE("resizing reads a photo once and writes the batch in whole accesses") {
  const auto photo = [](int64_t begin) { return std::vector<int64_t>{begin, 96, 64, 0, 0, 96, 64, 48, 32, 0, 0, 0}; };
  std::vector<int64_t> boxes = photo(0);
  for (const int64_t field : photo(96 * 64 * 3)) boxes.push_back(field);
  // A warp's byte loads lie 6 bytes apart, 32 of them in 6 sectors where one would hold them, or 7 where the warp goes
  // on in the next row. A block makes 5 1/3 rows of 48 pixels, which need 2 rows of the photo each and 2 more.
  const Measured resized = measure(ResizeImagesArgs{.pixels = {nullptr, {2 * 96 * 64 * 3}, DType::u8},
                                                    .boxes = {nullptr, {2, ResizeImagesArgs::kBoxFields}, DType::i64},
                                                    .y = floats({2, 32, 48, 3})},
                                   boxes);
  check(resized, 1, {{.kernel = "resize_images_kernel<", .loads = 6.5, .reuse = 1 + 3.0 / 12, .tiles = true}});
}

TEST_CASE("pooling moves each tensor once, overlapping windows by L2") {
  const Shape x = {2, 32, 32, 64}, y = {2, 16, 16, 64};
  const TensorView index = {nullptr, y, DType::u8};
  const PoolParams three{.window = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1}},
      two{.window = {2, 2}, .stride = {2, 2}};
  // a row of y reads three rows of x and moves on by two
  const double rows = 3.0 / 2;
  check(measure(MaxPoolArgs{.x = floats(x), .y = floats(y), .index = index, .pool = three}), 1,
        {{.kernel = "max_pool_kernel<", .reuse = rows}});
  check(measure(MaxPoolArgs{.x = floats(x), .y = floats(y), .index = index, .pool = two}), 1, {{"max_pool_kernel<"}});
  check(measure(AvgPoolArgs{.x = floats(x), .y = floats(y), .pool = three}), 1,
        {{.kernel = "mean_pool_kernel<", .reuse = rows}});
  // a row of dy is read by three rows of dx, 16 pixels of which lie in 9 windows, 8 of them its own
  const double back = 3 * 9.0 / 8;
  check(measure(MaxPoolBackwardArgs{.dy = floats(y), .index = index, .dx = floats(x), .pool = three}), 1,
        {{.kernel = "max_pool_backward_kernel<", .reuse = back}});
  check(measure(AvgPoolBackwardArgs{.dy = floats(y), .dx = floats(x), .pool = three}), 1,
        {{.kernel = "mean_pool_backward_kernel<", .reuse = back}});
}

TEST_CASE("the global mean reads x once and its gradient writes dx once") {
  const Shape x = {4, 14, 14, 64}, y = {4, 1, 1, 64};
  check(measure(AdaptiveAvgPoolArgs{.x = floats(x), .y = floats(y)}), 1, {{"mean_of_large_windows_kernel<"}});
  // each block of 16 pixels reads the channels of its image, or of two
  check(measure(AdaptiveAvgPoolBackwardArgs{.dy = floats(y), .dx = floats(x)}), 1,
        {{.kernel = "mean_pool_backward_kernel<", .reuse = 14 * 14 / 16.0 + 1}});
}

TEST_CASE("a depthwise convolution moves x and y once, overlapping rows by L2") {
  const Shape x = {2, 32, 32, 64}, half = {2, 16, 16, 64}, c = {64}, three = {3, 3, 64}, five = {5, 5, 64};
  const Conv2dParams one{.pad = {1, 1, 1, 1}}, two{.stride = {2, 2}, .pad = {1, 1, 1, 1}}, wide{.pad = {2, 2, 2, 2}};
  // each of eight blocks reads six rows, the first and the last five; and 9 · 64 weights and the biases, 80 sectors
  // beside the 1,024 of its own four rows
  check(measure(DepthwiseConv2dArgs{.x = floats(x),
                                    .weight = floats(three),
                                    .bias = floats(c),
                                    .y = floats(x),
                                    .conv = one,
                                    .activation = Activation::silu}),
        1, {{.kernel = "depthwise_kernel<", .reuse = 46.0 / 32 + 80.0 / 1024, .tiles = true}});
  // five rows for two; a block has both of its rows of four strips and so reads nine rows for four
  check(measure(DepthwiseConv2dArgs{.x = floats(x), .weight = floats(three), .y = floats(half), .conv = two}), 1,
        {{.kernel = "depthwise_kernel<", .reuse = 36.0 / 32 + 72.0 / 1024, .tiles = true}});
  // strips of four rows: twelve rows for eight
  check(measure(DepthwiseConv2dArgs{.x = floats(x), .weight = floats(five), .y = floats(x), .conv = wide}), 1,
        {{.kernel = "depthwise_kernel<", .reuse = 44.0 / 32 + 200.0 / 2048, .tiles = true}});
  // the sums of eight slabs of an image, each a pixel long, are written and read
  check(
      measure(DepthwiseConv2dArgs{
          .x = floats(x), .weight = floats(three), .y = floats(x), .squeeze = floats({2, 64}), .conv = one}),
      1 + 2 * 8.0 / 2048,
      {{.kernel = "depthwise_kernel<", .reuse = 46.0 / 32 + 72.0 / 1024, .tiles = true}, {"depthwise_squeeze_kernel"}});
}

TEST_CASE("the gradient of a depthwise convolution by its input moves dy and dx once") {
  const Shape x = {2, 32, 32, 64}, half = {2, 16, 16, 64}, three = {3, 3, 64};
  const Conv2dParams one{.pad = {1, 1, 1, 1}}, two{.stride = {2, 2}, .pad = {1, 1, 1, 1}};
  check(
      measure(DepthwiseConv2dBackwardDataArgs{.dy = floats(x), .weight = floats(three), .dx = floats(x), .conv = one}),
      1, {{.kernel = "depthwise_kernel<", .reuse = 46.0 / 32 + 72.0 / 1024, .tiles = true}});
  // nine strips of 4x4 to a row, 24 to a slab: at each of three borders of slabs about a row and a half of dy's 16 are
  // read twice
  check(measure(
            DepthwiseConv2dBackwardDataArgs{.dy = floats(half), .weight = floats(three), .dx = floats(x), .conv = two}),
        1, {{.kernel = "depthwise_kernel<", .reuse = 1 + 3 * 1.5 / 16 + 72.0 / 683, .tiles = true}});
}

TEST_CASE("the gradient of a depthwise convolution by its weights reads x and dy once") {
  const Shape x = {2, 32, 32, 64}, three = {3, 3, 64};
  // eight slabs of 9 · 64 sums beside 2 · 2,048 · 64 elements, written and read; ten rows of x for eight of dy
  check(measure(DepthwiseConv2dBackwardWeightArgs{
            .x = floats(x), .dy = floats(x), .dweight = floats(three), .conv = {.pad = {1, 1, 1, 1}}}),
        1 + 2 * 8 * 9.0 / 4096,
        {{.kernel = "depthwise_weight_gradient_kernel<", .reuse = (38.0 / 32 + 1) / 2, .tiles = true},
         {"depthwise_weight_slabs_kernel"}});
}

}  // namespace graft::test
