// Memory traffic of kernels that pass over tensors: each is read and written once, or as often as it says.
#include "tests/kernels/cuda/traffic.h"

namespace graft::test {

TEST_CASE("elementwise kernels move each tensor once, at a size with a tail") {
  const Shape shape = {40001};
  check(measure(ActivateArgs{.x = floats(shape), .y = floats(shape), .activation = Activation::silu}), 1,
        {{"map_kernel<"}});
  check(measure(AddArgs{.a = floats(shape), .b = floats(shape), .y = floats(shape), .activation = Activation::relu}), 1,
        {{"map_kernel<"}});
  check(measure(ActivateBackwardArgs{.saved = floats(shape), .dy = floats(shape), .dx = floats(shape)}), 1,
        {{"map_kernel<"}});
  check(measure(ScaleArgs{.x = floats(shape), .y = floats(shape), .factor = 2}), 1, {{"map_kernel<"}});
}

TEST_CASE("multiply reads its factors from L2: once in a block") {
  const MultiplyArgs args{.x = floats({4, 14, 14, 64}),
                          .s = floats({4, 64}),
                          .y = floats({4, 14, 14, 64}),
                          .outer = 4,
                          .repeat = 196,
                          .inner = 64};
  // a block of 1,024 elements touches at most two rows of s, 64 floats each: 16 sectors beside 128 of x
  check(measure(args), 1, {{.kernel = "multiply_kernel<", .reuse = 1.0 + 16.0 / 128}});
}

// [2048, 64]: tensors x and y of 512 kB beside vectors of 256 bytes.
TEST_CASE("batch norm in training reads x twice and writes y once") {
  const Shape x = {2, 32, 32, 64}, c = {64};
  // x, x, y over x, y: 1.5 times the tensors. Every block reads the first row too, 8 of its sectors, and slabs of 64
  // rows hold 512; the per-channel vectors of the last pass lie in L2.
  check(measure(BatchNormTrainingArgs{.x = floats(x),
                                      .weight = floats(c),
                                      .bias = floats(c),
                                      .y = floats(x),
                                      .mean = floats(c),
                                      .var = floats(c),
                                      .activation = Activation::relu}),
        1.5,
        {{.kernel = "batch_norm_moments_kernel<", .reuse = 1.0 + 8.0 / 512 + 0.01},
         {.kernel = "batch_norm_statistics_kernel<", .reuse = 2},
         {.kernel = "batch_norm_normalise_kernel<", .reuse = 1.0 + 4 * 8.0 / 512 + 0.01}});
}

TEST_CASE("batch norm in inference is one pass") {
  const Shape x = {2, 32, 32, 64}, c = {64};
  check(
      measure(BatchNormInferenceArgs{
          .x = floats(x), .weight = floats(c), .bias = floats(c), .mean = floats(c), .var = floats(c), .y = floats(x)}),
      1, {{.kernel = "batch_norm_normalise_kernel<", .reuse = 1.0 + 4 * 8.0 / 512 + 0.01}});
}

TEST_CASE("batch norm backward reads x and dy twice and writes dx once") {
  const Shape x = {2, 32, 32, 64}, c = {64};
  check(measure(BatchNormBackwardArgs{.x = floats(x),
                                      .dy = floats(x),
                                      .weight = floats(c),
                                      .mean = floats(c),
                                      .var = floats(c),
                                      .dx = floats(x),
                                      .dweight = floats(c),
                                      .dbias = floats(c)}),
        5.0 / 3,
        {{.kernel = "batch_norm_gradient_sums_kernel<", .reuse = 1.0 + 2 * 8.0 / 1024 + 0.01},
         {.kernel = "batch_norm_gradients_kernel", .reuse = 2},
         {.kernel = "batch_norm_dx_kernel<", .reuse = 1.0 + 5 * 8.0 / 1024 + 0.01}});
}

TEST_CASE("reduce reads x once, as columns and as one column") {
  // 4,096 rows in 64 slabs: their sums, 1/64 of x, are written and read
  check(measure(ReduceArgs{.x = floats({4096, 64}), .y = floats({64}), .count = 4096, .inner = 64}), 1 + 2.0 / 64,
        {{"reduce_kernel<"}, {"reduce_slabs_kernel<"}});
  check(measure(ReduceArgs{.x = floats({1 << 16}), .y = floats({1}), .count = 1 << 16}), 1,
        {{.kernel = "reduce_kernel<", .store_reuse = 8}, {"reduce_slabs_kernel<"}});  // a float a block
  // 2,048 short columns: 4 a block, no slabs
  check(measure(ReduceArgs{.x = floats({2048, 49}), .y = floats({2048}), .outer = 2048, .count = 49}), 1,
        {{.kernel = "reduce_kernel<", .loads = 1.13, .store_reuse = 2}});  // a column begins within a sector
}

TEST_CASE("multiply_reduce reads x and dy once") {
  const Shape x = {8, 14, 14, 256};
  check(measure(MultiplyReduceArgs{
            .x = floats(x), .dy = floats(x), .ds = floats({8, 256}), .outer = 8, .repeat = 196, .inner = 256}),
        1 + 7.0 / 196, {{"reduce_kernel<"}, {"reduce_slabs_kernel<"}});  // 196 rows in 7 slabs of 32
}

TEST_CASE("broadcast writes y once, from rows in L2") {
  check(measure(BroadcastArgs{
            .x = floats({4, 64}), .y = floats({4, 196, 64}), .factor = 0.5, .outer = 4, .count = 196, .inner = 64}),
        1, {{.kernel = "broadcast_kernel<", .reuse = 13}});  // each of 49 blocks reads one row of four, or two
}

// 1,000 classes: 125 sectors a row, held in registers.
TEST_CASE("softmax kernels move each tensor once") {
  const Shape shape = {64, 1000};
  check(measure(SoftmaxArgs{.x = floats(shape), .y = floats(shape)}), 1, {{"softmax_kernel<"}});
  check(measure(SoftmaxBackwardArgs{.y = floats(shape), .dy = floats(shape), .dx = floats(shape)}), 1,
        {{"softmax_backward_kernel<"}});
}

TEST_CASE("cross-entropy reads the logits once, and its backward writes as much") {
  const Shape shape = {64, 1000};
  const TensorView targets = {nullptr, {64}, DType::i64};
  // W lies in L2 for every block, and each row's loss is written and read: 8 + 8 sectors beside 8,000
  check(measure(SoftmaxCrossEntropyArgs{.logits = floats(shape), .targets = targets, .loss = floats({1})}), 1,
        {{.kernel = "cross_entropy_weights_kernel"},
         {.kernel = "cross_entropy_rows_kernel<"},
         {.kernel = "reduce_kernel<"}});
  check(measure(SoftmaxCrossEntropyBackwardArgs{
            .logits = floats(shape), .targets = targets, .dloss = floats({1}), .dlogits = floats(shape)}),
        1, {{.kernel = "cross_entropy_weights_kernel"}, {.kernel = "cross_entropy_backward_kernel<"}});
}

// Their scalars lie in one sector each, which every block reads.
TEST_CASE("optimisers read each tensor once and write what moves once") {
  const Shape shape = {40001};
  const TensorView rate = {nullptr, {1}, DType::f64}, number = {nullptr, {1}, DType::i64};
  check(measure(CheckFiniteArgs{.x = floats(shape), .flag = number}), 1, {{"check_finite_kernel"}});
  check(measure(SgdArgs{.gradient = floats(shape),
                        .learning_rate = rate,
                        .step = number,
                        .parameter = floats(shape),
                        .velocity = floats(shape),
                        .momentum = 0.9}),
        5.0 / 3, {{"update_kernel<"}});
  check(measure(AdamWArgs{.gradient = floats(shape),
                          .learning_rate = rate,
                          .step = number,
                          .parameter = floats(shape),
                          .m = floats(shape),
                          .v = floats(shape)}),
        7.0 / 4, {{"update_kernel<"}});
}

TEST_CASE("a copy in 16 bits is written in the same pass") {
  const Shape shape = {40001};
  const TensorView rate = {nullptr, {1}, DType::f64}, number = {nullptr, {1}, DType::i64};
  // 3R + 2W of floats and half a float: 5.5 over 3.5 (a raised flag would write the copy alone)
  check(measure(SgdArgs{.gradient = floats(shape),
                        .learning_rate = rate,
                        .step = number,
                        .gradient_factor = floats({1}),
                        .parameter = floats(shape),
                        .velocity = floats(shape),
                        .copy = {nullptr, shape, DType::bf16},
                        .momentum = 0.9}),
        5.5 / 3.5, {{"update_kernel<"}});
}

TEST_CASE("an average reads two tensors and writes one, a norm reads one") {
  const Shape shape = {40001};
  check(measure(EmaArgs{.parameter = floats(shape), .average = floats(shape)}), 3.0 / 2, {{"ema_kernel"}});
  // ten blocks leave a double each, which two blocks read
  check(measure(ClipFactorArgs{.gradient = floats(shape), .norm = floats({1}), .factor = floats({1})}), 1,
        {{.kernel = "sum_of_squares_kernel", .store_reuse = 4}, {.kernel = "clip_factor_kernel", .reuse = 2}});
}

// Two photos of 96 x 64 pixels, halved, bilinear: windows of 4 x 4 pixels that begin every other pixel.
TEST_CASE("running statistics are read and written once") {
  const Shape c = {2048};
  check(measure(UpdateRunningStatsArgs{
            .mean = floats(c), .var = floats(c), .running_mean = floats(c), .running_var = floats(c), .rows = 2}),
        6.0 / 4, {{"update_running_stats_kernel"}});
}

TEST_CASE("a random mask is written once") {
  check(measure(BernoulliMaskArgs{.state = {nullptr, {2}, DType::i64}, .y = floats({40001}), .probability = 0.2}), 1,
        {{.kernel = "bernoulli_mask_kernel", .reuse = 40}});  // each of 40 blocks reads the state
}

TEST_CASE("fill and cast move each element once, at a size with a tail") {
  const Shape shape = {40001};
  check(measure(FillArgs{.y = floats(shape), .value = 1}), 1, {{"fill_kernel<"}});
  check(measure(CastArgs{.x = floats(shape), .y = {nullptr, shape, DType::bf16}}), 1, {{"cast_kernel<"}});
  check(measure(CastArgs{.x = {nullptr, shape, DType::u8}, .y = floats(shape)}), 1, {{"cast_kernel<"}});
}

TEST_CASE("permute moves each element once, through tiles where the last axis changes") {
  const auto permuted = [](const Shape& x, const Shape& y, std::initializer_list<int32_t> order) {
    PermuteArgs args{.x = floats(x), .y = floats(y)};
    std::copy(order.begin(), order.end(), args.order);
    return measure(args);
  };
  check(permuted({2, 64, 96}, {2, 96, 64}, {0, 2, 1}), 1, {{.kernel = "transpose_kernel<", .tiles = true}});
  check(permuted({1, 64, 64, 3}, {1, 3, 64, 64}, {0, 3, 1, 2}), 1, {{.kernel = "transpose_kernel<", .tiles = true}});
  check(permuted({1, 3, 64, 64}, {1, 64, 64, 3}, {0, 2, 3, 1}), 1, {{.kernel = "transpose_kernel<", .tiles = true}});
  for (const int64_t channels : {2, 4, 5, 16, 31, 32})
    check(permuted({1, 32, 32, channels}, {1, channels, 32, 32}, {0, 3, 1, 2}), 1,
          {{.kernel = "transpose_kernel<", .tiles = true}});
  check(permuted({2, 37, 3, 16}, {3, 2, 37, 16}, {2, 0, 1, 3}), 1, {{"copy_rows_kernel<"}});
}

TEST_CASE("copy_slice and the subsampled shortcut touch only what they move") {
  const Shape slice = {64, 64}, whole = {64, 128};
  // 2·|x| over |x| + |y|
  check(
      measure(CopySliceArgs{
          .x = floats(slice), .y = floats(whole), .outer = 64, .count = 64, .x_row = 64, .y_row = 128, .y_begin = 64}),
      2.0 / 3, {{"copy_rows_kernel<"}});
  const Shape large = {2, 16, 16, 16}, small = {2, 8, 8, 32};
  // |y| and a quarter of |x|, |x| = 2·|y|; back: |x| and the half of |y| that x has channels for
  check(measure(SubsamplePadArgs{.x = floats(large), .y = floats(small), .stride = 2, .before = 8}), 1.5 / 3,
        {{"subsample_pad_kernel<"}});
  check(measure(SubsamplePadBackwardArgs{.dy = floats(small), .dx = floats(large), .stride = 2, .before = 8}), 2.5 / 3,
        {{"subsample_pad_backward_kernel<"}});
}

// x [2, 32, 32, 64], y [2, 16, 16, 64]: a block makes one row of y, or half a row of dx.
// A block of a 32 · 32 tile reads 32 rows of one operand and 32 columns of the other: a is read once per tile of
// columns, b once per tile of rows, which reuse weighs by their sizes.
// x [1, 16, 16, 16], 3x3: a tile is two rows of pixels and reads four, 8 tiles read the weights.
// dx [1, 16, 16, 32] in four phases of 8 · 8 pixels, two tiles each: four rows of dy, and one more for the second tap.
// dweight [32, 3, 3, 16] in five tiles of two taps, two slabs of 8 rows of pixels, in which taps lie up to a row apart.
// x [2, 32, 32, 64] in strips of two rows by four pixels: a block makes two rows of strips, eight at a time.
// Tiles of 64 x 64: each block reads 64 rows of one operand and 64 of the other.
// x [2, 16, 16, 16], a pixel a sector: a tile of 64 pixels is four rows of an image, which see 5, 6, 6 and 5.

}  // namespace graft::test
