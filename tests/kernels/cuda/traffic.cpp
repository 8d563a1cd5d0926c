// How much memory traffic each kernel makes, from the addresses it touches: the committed table of what is allowed.
//
//   per access   sectors a warp's loads or stores request over the fewest that hold the bytes used; 1: coalesced
//   reuse        distinct sectors of each block, summed, over those of the grid; 1: nothing is read by two blocks
//   conflicts    passes of a warp through shared memory beyond the fewest, where a kernel's tiles are noted; none
//   passes       sectors of the whole call over those of its tensors, each counted once: how often the tensors move
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "kernels/cuda/cuda_backend.h"
#include "tests/cuda_on_host/access_log.h"
#include "tests/cuda_on_host/control.h"
#include "tests/kernels/op_table/call.h"
#include "tests/kernels/op_table/op_case.h"

namespace graft::test {

namespace {

constexpr double kStream = 1.05;

struct Allowed {
  const char* kernel;                                         // how the demangled name begins, after the namespace
  double loads = kStream, stores = kStream, reuse = kStream;  // reuse: of what is loaded
  double store_reuse = kStream;                               // results shorter than a sector
  bool tiles = false;                                         // notes what it asks of shared memory
};

struct Measured {
  std::map<std::string, cuda_on_host::KernelAccesses> kernels;
  double passes = 0;
};

// Runs one call of `args`, whose views have shapes and types but no memory, on tensors of ones; those of i64 hold
// `numbers` if there are some.
template <typename Args>
Measured measure(Args args, const std::vector<int64_t>& numbers = {}) {
  cuda_on_host::reset();
  Backend backend;
  REQUIRE(cuda::make_backend(0, &backend) == Status::ok);
  const auto allocate = [&](int64_t bytes) {
    void* memory = nullptr;
    REQUIRE(backend.device.allocate(backend.self, bytes, &memory) == Status::ok);
    return memory;
  };
  double tensor_sectors = 0;
  for (int i = 0; i < Args::kRoles.total(); ++i) {
    TensorView& view = views_of(&args)[i];
    if (!view.present()) continue;
    view.data = allocate(view.bytes());
    const std::vector<float> ones(static_cast<size_t>(view.bytes() + 3) / 4, 1);
    const bool given = view.dtype == DType::i64 && !numbers.empty();
    const void* contents = given ? static_cast<const void*>(numbers.data()) : ones.data();
    REQUIRE(backend.device.copy(backend.self, nullptr, view.data, contents, view.bytes(), CopyKind::host_to_device) ==
            Status::ok);
    REQUIRE(backend.device.synchronize(backend.self, nullptr) == Status::ok);
    tensor_sectors += static_cast<double>((view.bytes() + 31) / 32);
  }
  constexpr auto primitive = primitive_of<Args>;
  const int64_t bytes = backend.workspace_bytes(backend.self, primitive, &args);
  CallContext call{.self = backend.self, .workspace = allocate(bytes), .workspace_bytes = bytes};
  Measured measured;
  {
    const cuda_on_host::AccessLog log;
    REQUIRE(backend.run[static_cast<int>(primitive)](&call, &args) == Status::ok);
    REQUIRE(backend.device.synchronize(backend.self, nullptr) == Status::ok);
    measured.kernels = log.report();
  }
  for (const auto& [name, k] : measured.kernels)
    measured.passes += static_cast<double>(k.loads.sectors_of_grid + k.stores.sectors_of_grid) / tensor_sectors;
  backend.destroy(backend.self);
  cuda_on_host::reset();
  return measured;
}

// GRAFT_SHOW=1 prints the table.
template <typename... Args>
void show(fmt::format_string<Args...> format, Args&&... args) {
  if (std::getenv("GRAFT_SHOW") != nullptr) fmt::print(format, std::forward<Args>(args)...);
}

void check(const Measured& measured, double passes, std::initializer_list<Allowed> allowed) {
  CHECK(measured.kernels.size() == allowed.size());
  for (const auto& [name, k] : measured.kernels) {
    const std::string begin = name.substr(name.find("cuda::") + 6);
    const auto row =
        std::find_if(allowed.begin(), allowed.end(), [&](const Allowed& a) { return begin.starts_with(a.kernel); });
    INFO(begin);
    REQUIRE(row != allowed.end());
    CHECK(k.loads.per_access() <= row->loads);
    CHECK(k.stores.per_access() <= row->stores);
    CHECK(k.loads.reuse() <= row->reuse);
    CHECK(k.stores.reuse() <= row->store_reuse);
    CHECK(k.bank_conflicts == 0);
    CHECK((k.shared_accesses > 0) == row->tiles);
    show("{:<46} per access {:.3f} loads, {:.3f} stores; reuse {:.3f}; conflicts {}\n",
         begin.substr(0, begin.find('(')).substr(0, 46), k.loads.per_access(), k.stores.per_access(), k.loads.reuse(),
         k.bank_conflicts);
  }
  show("  passes {:.3f}, at most {:.3f}\n", measured.passes, passes * kStream);
  CHECK(measured.passes <= passes * kStream);
  CHECK(measured.passes >= passes / kStream);  // a bound that no longer says anything is tightened
}

TensorView floats(const Shape& shape) { return {nullptr, shape, DType::f32}; }

}  // namespace

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
  check(resized, 1, {{.kernel = "resize_images_kernel<", .loads = 6.5, .reuse = 1 + 3.0 / 12}});
  CHECK(resized.kernels.begin()->second.shared_accesses > 0);
  CHECK(resized.kernels.begin()->second.bank_conflicts == 0);
}

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

// A block of a 32 · 32 tile reads 32 rows of one operand and 32 columns of the other: a is read once per tile of
// columns, b once per tile of rows, which reuse weighs by their sizes.
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

// x [1, 16, 16, 16], 3x3: a tile is two rows of pixels and reads four, 8 tiles read the weights.
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

// dx [1, 16, 16, 32] in four phases of 8 · 8 pixels, two tiles each: four rows of dy, and one more for the second tap.
TEST_CASE("backward by data reads dy once per phase, and of the weights only the taps that meet") {
  const double dy = 8 * 8 * 16, weight = 16 * 9 * 32;
  check(measure(Conv2dBackwardDataArgs{.dy = floats({1, 8, 8, 16}),
                                       .weight = floats({16, 3, 3, 32}),
                                       .dx = floats({1, 16, 16, 32}),
                                       .conv = {.stride = {2, 2}, .pad = {1, 1, 1, 1}}}),
        1,
        {{.kernel = "conv2d_backward_data_kernel<", .reuse = tile_reuse(dy, 4 * 5.0 / 4, weight, 2), .tiles = true}});
}

// dweight [32, 3, 3, 16] in five tiles of two taps, two slabs of 8 rows of pixels, in which taps lie up to a row apart.
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

// x [2, 32, 32, 64] in strips of two rows by four pixels: a block makes two rows of strips, eight at a time.
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
        1, {{.kernel = "depthwise_kernel<", .reuse = 46.0 / 32 + 80.0 / 1024}});
  // five rows for two; a block has both of its rows of four strips and so reads nine rows for four
  check(measure(DepthwiseConv2dArgs{.x = floats(x), .weight = floats(three), .y = floats(half), .conv = two}), 1,
        {{.kernel = "depthwise_kernel<", .reuse = 36.0 / 32 + 72.0 / 1024}});
  // strips of four rows: twelve rows for eight
  check(measure(DepthwiseConv2dArgs{.x = floats(x), .weight = floats(five), .y = floats(x), .conv = wide}), 1,
        {{.kernel = "depthwise_kernel<", .reuse = 44.0 / 32 + 200.0 / 2048}});
  // the sums of eight slabs of an image, each a pixel long, are written and read
  check(measure(DepthwiseConv2dArgs{
            .x = floats(x), .weight = floats(three), .y = floats(x), .squeeze = floats({2, 64}), .conv = one}),
        1 + 2 * 8.0 / 2048,
        {{.kernel = "depthwise_kernel<", .reuse = 46.0 / 32 + 72.0 / 1024}, {"depthwise_squeeze_kernel"}});
}

TEST_CASE("the gradient of a depthwise convolution by its input moves dy and dx once") {
  const Shape x = {2, 32, 32, 64}, half = {2, 16, 16, 64}, three = {3, 3, 64};
  const Conv2dParams one{.pad = {1, 1, 1, 1}}, two{.stride = {2, 2}, .pad = {1, 1, 1, 1}};
  check(
      measure(DepthwiseConv2dBackwardDataArgs{.dy = floats(x), .weight = floats(three), .dx = floats(x), .conv = one}),
      1, {{.kernel = "depthwise_kernel<", .reuse = 46.0 / 32 + 72.0 / 1024}});
  // nine strips of 4x4 to a row, 24 to a slab: at each of three borders of slabs about a row and a half of dy's 16 are
  // read twice
  check(measure(
            DepthwiseConv2dBackwardDataArgs{.dy = floats(half), .weight = floats(three), .dx = floats(x), .conv = two}),
        1, {{.kernel = "depthwise_kernel<", .reuse = 1 + 3 * 1.5 / 16 + 72.0 / 683}});
}

TEST_CASE("the gradient of a depthwise convolution by its weights reads x and dy once") {
  const Shape x = {2, 32, 32, 64}, three = {3, 3, 64};
  // eight slabs of 9 · 64 sums beside 2 · 2,048 · 64 elements, written and read; ten rows of x for eight of dy
  check(measure(DepthwiseConv2dBackwardWeightArgs{
            .x = floats(x), .dy = floats(x), .dweight = floats(three), .conv = {.pad = {1, 1, 1, 1}}}),
        1 + 2 * 8 * 9.0 / 4096,
        {{.kernel = "depthwise_weight_gradient_kernel<", .reuse = (38.0 / 32 + 1) / 2},
         {"depthwise_weight_slabs_kernel"}});

TensorView halves(const Shape& shape) { return {nullptr, shape, DType::bf16}; }

// Tiles of 64 x 64: each block reads 64 rows of one operand and 64 of the other.
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

// x [2, 16, 16, 16], a pixel a sector: a tile of 64 pixels is four rows of an image, which see 5, 6, 6 and 5.
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
