// Memory traffic of matrix products and dense convolutions: each operand once per tile of the other.
#include "tests/kernels/cuda/traffic.h"

namespace graft::test {

double tile_reuse(double a, double a_reads, double b, double b_reads) {
  return (a * a_reads + b * b_reads) / (a + b) * kStream;
}

TEST_CASE("a matrix product reads each operand once per tile of the other, whatever their order") {
  for (const int transposes : {0, 1, 2, 3}) {
    const Shape a = transposes & 1 ? Shape{64, 96} : Shape{96, 64},
                b = transposes & 2 ? Shape{128, 64} : Shape{64, 128};
    check(measure(MatmulArgs{.a = floats(a),
                             .b = floats(b),
                             .y = floats({96, 128}),
                             .transpose_a = transposes & 1,
                             .transpose_b = transposes >> 1}),
          1, {{.kernel = "matmul_kernel<", .reuse = tile_reuse(96, 4, 128, 3), .tiles = true}});
  }
}

TEST_CASE("the product of a classifier's head sums in slabs") {
  // 64 · 8 results, K = 2048 in 16 slabs: 16 · |y| are written and read; b is read by two tiles of rows
  const double a = 64 * 2048, b = 8 * 2048, y = 64 * 8;
  check(
      measure(MatmulArgs{.a = floats({64, 2048}),
                         .b = floats({8, 2048}),
                         .bias = floats({8}),
                         .y = floats({64, 8}),
                         .transpose_b = 1}),
      (a + b + y + 2 * 16 * y) / (a + b + y),
      {{.kernel = "matmul_kernel<", .reuse = tile_reuse(a, 1, b, 2), .tiles = true}, {.kernel = "add_slabs_kernel<"}});
}

TEST_CASE("squeeze-and-excite reads its weights once an image") {
  constexpr int kPerSector = 8;
  constexpr int kWeights = (2 * 16 * 64 + 16 + 64) / kPerSector, kSqueeze = 2 * 64 / kPerSector;
  const double weights = kWeights, squeeze = kSqueeze;
  check(measure(SqueezeExciteArgs{.squeeze = floats({2, 64}),
                                  .weight1 = floats({16, 64}),
                                  .bias1 = floats({16}),
                                  .weight2 = floats({64, 16}),
                                  .bias2 = floats({64}),
                                  .gate = floats({2, 64}),
                                  .activation = Activation::silu}),
        1,
        {{.kernel = "squeeze_excite_kernel<",
          .reuse = (2 * weights + squeeze) / (weights + squeeze) + 0.01,
          .tiles = true}});
}

TEST_CASE("a convolution reads each pixel once per tile that sees it, and the weights once per tile of pixels") {
  const Conv2dParams same{.pad = {1, 1, 1, 1}};
  const double x = 16 * 16 * 16, weight = 32 * 9 * 16;
  check(measure(Conv2dArgs{.x = floats({1, 16, 16, 16}),
                           .weight = floats({32, 3, 3, 16}),
                           .bias = floats({32}),
                           .residual = floats({1, 16, 16, 32}),
                           .y = floats({1, 16, 16, 32}),
                           .conv = same,
                           .activation = Activation::relu}),
        1, {{.kernel = "conv2d_kernel<", .reuse = tile_reuse(x, 4.0 / 2, weight, 8), .tiles = true}});
  // Photos: 8 numbers of a row of 21 begin anywhere in a sector. A tile is two rows of 16 windows of stride 2 and reads
  // 9 rows of x where it moves on by 4.
  const double photo = 32 * 32 * 3, filters = 32 * 147;
  check(measure(Conv2dArgs{.x = floats({1, 32, 32, 3}),
                           .weight = floats({32, 7, 7, 3}),
                           .y = floats({1, 16, 16, 32}),
                           .conv = {.stride = {2, 2}, .pad = {3, 3, 3, 3}}}),
        1, {{.kernel = "conv2d_kernel<", .loads = 2, .reuse = tile_reuse(photo, 9.0 / 4, filters, 8), .tiles = true}});
}

TEST_CASE("backward by data reads dy once per phase, and of the weights only the taps that meet") {
  const double dy = 8 * 8 * 16, weight = 16 * 9 * 32;
  check(measure(Conv2dBackwardDataArgs{.dy = floats({1, 8, 8, 16}),
                                       .weight = floats({16, 3, 3, 32}),
                                       .dx = floats({1, 16, 16, 32}),
                                       .conv = {.stride = {2, 2}, .pad = {1, 1, 1, 1}}}),
        1,
        {{.kernel = "conv2d_backward_data_kernel<", .reuse = tile_reuse(dy, 4 * 5.0 / 4, weight, 2), .tiles = true}});
}

TEST_CASE("backward by weights reads x and dy once per tile, and its slabs meet in the workspace") {
  const double image = 16 * 16 * 16, dy = 16 * 16 * 32, dweight = 32 * 9 * 16;
  check(measure(Conv2dBackwardWeightArgs{.x = floats({1, 16, 16, 16}),
                                         .dy = floats({1, 16, 16, 32}),
                                         .dweight = floats({32, 3, 3, 16}),
                                         .conv = {.pad = {1, 1, 1, 1}}}),
        (image + dy + dweight + 2 * 2 * dweight) / (image + dy + dweight),
        {{.kernel = "conv2d_backward_weight_kernel<", .reuse = tile_reuse(image, 5 * 9.0 / 8, dy, 5), .tiles = true},
         {.kernel = "add_slabs_kernel<"}});
}

TEST_CASE("products on tensor cores read each operand once a tile, without bank conflicts, however it lies") {
  const int64_t rows = 192, depth = 96, columns = 128;
  for (const int ta : {0, 1})
    for (const int tb : {0, 1}) {
      const Measured m = measure(MatmulArgs{.a = halves(ta ? Shape{depth, rows} : Shape{rows, depth}),
                                            .b = halves(tb ? Shape{columns, depth} : Shape{depth, columns}),
                                            .bias = floats({columns}),
                                            .y = halves({rows, columns}),
                                            .transpose_a = ta,
                                            .transpose_b = tb});
      // a by 2 tiles of columns, b and bias by 3 of rows
      const double a = rows * depth / 16.0, b = depth * columns / 16.0, bias = columns / 8.0;
      check(m, 1,
            {{.kernel = "mma_kernel<", .reuse = (2 * a + 3 * (b + bias)) / (a + b + bias) + 0.01, .tiles = true}});
    }
}

TEST_CASE("convolutions on tensor cores read patches from L2, without bank conflicts") {
  const Shape x = {2, 16, 16, 16}, weight = {64, 3, 3, 16}, y = {2, 16, 16, 64};
  const Conv2dParams conv{.pad = {1, 1, 1, 1}};
  const double image = 512, filters = 576, result = 2048;
  const Measured forward = measure(
      Conv2dArgs{.x = halves(x), .weight = halves(weight), .residual = halves(y), .y = halves(y), .conv = conv});
  check(forward, 1,
        {{.kernel = "mma_kernel<",
          .reuse = (image * 22 / 16 + filters * 8 + result) / (image + filters + result) + 0.01,
          .tiles = true}});
  // 64 outputs of 9 taps are two parts of the sum; each sees four rows of dy and the one above or below, and leaves dx
  // in f32, which is read again.
  check(measure(Conv2dBackwardDataArgs{.dy = halves(y), .weight = halves(weight), .dx = halves(x), .conv = conv}),
        (result + filters + 4 * 2 * image + image) / (result + filters + image),
        {{.kernel = "mma_kernel<", .reuse = (result * 2 * 5 / 4 + filters * 8) / (result + filters), .tiles = true},
         {.kernel = "sum_splits_kernel<"}});
  // three tiles of taps read dy and nearly all of x; two parts of dweight in f32
  check(measure(Conv2dBackwardWeightArgs{.x = halves(x), .dy = halves(y), .dweight = floats(weight), .conv = conv}),
        (image + result + 5 * 2 * filters) / (image + result + 2 * filters),
        {{.kernel = "mma_kernel<", .reuse = 3, .tiles = true}, {.kernel = "sum_splits_kernel<"}});
}

}  // namespace graft::test
