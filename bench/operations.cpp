#include "bench/operations.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "models/near_names.h"

namespace graft::bench {

namespace {

TensorView tensor(DType dtype, const Shape& shape) {
  int64_t bytes = size_of(dtype);
  for (int axis = 0; axis < shape.rank; ++axis)
    GRAFT_CHECK(!__builtin_mul_overflow(bytes, shape[axis], &bytes), "a tensor of shape {} is too large", shape);
  return {nullptr, shape, dtype};
}

// The calls that one line makes.
class Calls {
 public:
  Calls(Attributes& attributes, DType dtype) : a(attributes), type(dtype), wide(vector_type(dtype)) {}

  Attributes& a;
  const DType type, wide;  // of tensors, and of vectors and sums beside them
  std::vector<KernelCase> cases;

  template <typename Args>
  KernelCase& add(const char* pass, const Args& args, double flops = 0) {
    KernelCase& c = cases.emplace_back();
    c.operation = a.operation();
    c.pass = pass;
    c.primitive = primitive_of<Args>;
    std::memcpy(c.args.bytes, &args, sizeof args);
    c.flops = flops;
    return c;
  }
  TensorView t(const Shape& shape) const { return tensor(type, shape); }
  TensorView v(const Shape& shape) const { return tensor(wide, shape); }

  Shape image() {
    const int64_t n = a.batch(), h = a.pixels("h"), w = a.pixels("w");
    return {n, h, w, a.channels("c")};
  }
};

template <typename Args>
void fill(KernelCase& c, TensorView Args::*view, Content content) {
  const Args& args = *reinterpret_cast<const Args*>(c.args.bytes);
  c.contents[static_cast<size_t>(&(args.*view) - c.args_views())] = content;
}

constexpr Content kPositive{Content::Kind::positive, 0};
Content whole(int64_t below) { return {Content::Kind::whole, static_cast<double>(below)}; }
Content constant(double value) { return {Content::Kind::constant, value}; }

Conv2dParams geometry(Attributes& a, Extent2& window) {
  Conv2dParams conv;
  window = a.extent("window", 1);
  conv.stride = a.extent("stride", 1);
  conv.pad = a.padding();
  conv.dilation = a.extent("dilation", 1);
  return conv;
}

// [N, Ho, Wo, channels]
Shape output_of(const Attributes& a, const Shape& x, Extent2 window, const Conv2dParams& conv, int64_t channels) {
  const int64_t h = output_extent(x[1], conv.pad.top, conv.pad.bottom, window.h, conv.dilation.h, conv.stride.h);
  const int64_t w = output_extent(x[2], conv.pad.left, conv.pad.right, window.w, conv.dilation.w, conv.stride.w);
  GRAFT_CHECK(h > 0 && w > 0, "{}: a window of {}x{} does not fit in {}x{} pixels with their padding", a.operation(),
              window.h, window.w, x[1], x[2]);
  return {x[0], h, w, channels};
}

void conv2d(Calls& calls) {
  Attributes& a = calls.a;
  const int64_t groups = a.number("groups", 1, 1, 1 << 16), n = a.batch(), h = a.pixels("h"), w = a.pixels("w");
  const Shape image = {n, h, w, a.channels("c", groups)};
  const int64_t outputs = a.channels("k", groups);
  GRAFT_CHECK(image[3] % groups == 0 && outputs % groups == 0, "conv2d: {} groups divide neither c={} nor k={}: both",
              groups, image[3], outputs);
  Extent2 window;
  Conv2dParams conv = geometry(a, window);
  conv.groups = static_cast<int32_t>(groups);
  const TensorView x = calls.t(image), y = calls.t(output_of(a, image, window, conv, outputs));
  const TensorView weight = calls.t({outputs, window.h, window.w, image[3] / groups});
  const int64_t terms = weight.numel() / outputs;  // of a sum
  const double flops = 2.0 * static_cast<double>(y.numel()) * static_cast<double>(terms);
  Conv2dArgs forward{.x = x, .weight = weight, .y = y, .conv = conv};
  if (a.flag("bias")) forward.bias = calls.v({outputs});
  if (a.flag("residual")) forward.residual = y;
  forward.activation = a.activation();
  calls.add("forward", forward, flops);
  calls.add("data", Conv2dBackwardDataArgs{.dy = y, .weight = weight, .dx = x, .conv = conv}, flops);
  const TensorView dweight = calls.v(weight.shape);
  calls.add("weight", Conv2dBackwardWeightArgs{.x = x, .dy = y, .dweight = dweight, .conv = conv}, flops);
}

void depthwise_conv2d(Calls& calls) {
  const Shape image = calls.image();
  Extent2 window;
  const Conv2dParams conv = geometry(calls.a, window);
  const TensorView x = calls.t(image), y = calls.t(output_of(calls.a, image, window, conv, image[3]));
  const TensorView weight = calls.t({window.h, window.w, image[3]});
  const double flops = 2.0 * static_cast<double>(y.numel()) * window.h * window.w;
  DepthwiseConv2dArgs forward{.x = x, .weight = weight, .y = y, .conv = conv};
  if (calls.a.flag("bias")) forward.bias = calls.v({image[3]});
  forward.activation = calls.a.activation();
  calls.add("forward", forward, flops);
  calls.add("data", DepthwiseConv2dBackwardDataArgs{.dy = y, .weight = weight, .dx = x, .conv = conv}, flops);
  const TensorView dweight = calls.v(weight.shape);
  calls.add("weight", DepthwiseConv2dBackwardWeightArgs{.x = x, .dy = y, .dweight = dweight, .conv = conv}, flops);
}

// y = x · weightᵀ + bias, dx = dy · weight, dweight = dyᵀ · x
void linear(Calls& calls) {
  const int64_t n = calls.a.batch(), in = calls.a.features("in"), out = calls.a.features("out");
  const TensorView x = calls.t({n, in}), y = calls.t({n, out}), weight = calls.t({out, in});
  const double flops = 2.0 * static_cast<double>(n) * static_cast<double>(in) * static_cast<double>(out);
  calls.add("forward", MatmulArgs{.a = x, .b = weight, .bias = calls.v({out}), .y = y, .transpose_b = 1}, flops);
  calls.add("data", MatmulArgs{.a = y, .b = weight, .y = x}, flops);
  calls.add("weight", MatmulArgs{.a = y, .b = x, .y = calls.v({out, in}), .transpose_a = 1}, flops);
}

void batch_norm(Calls& calls) {
  const TensorView x = calls.t(calls.image()), channels = calls.v({x.shape[3]});
  const Activation activation = calls.a.activation();
  calls.add("forward", BatchNormTrainingArgs{.x = x,
                                             .weight = channels,
                                             .bias = channels,
                                             .y = x,
                                             .mean = channels,
                                             .var = channels,
                                             .activation = activation});
  BatchNormBackwardArgs backward{.x = x, .dy = x, .weight = channels, .mean = channels, .var = channels};
  backward.dx = x, backward.dweight = backward.dbias = channels;
  if (activation != Activation::none) backward.bias = channels;
  backward.activation = activation;
  fill(calls.add("backward", backward), &BatchNormBackwardArgs::var, kPositive);
  BatchNormInferenceArgs inference{.x = x, .weight = channels, .bias = channels, .mean = channels, .var = channels};
  inference.y = x;
  inference.activation = activation;
  fill(calls.add("inference", inference), &BatchNormInferenceArgs::var, kPositive);
}

void activate(Calls& calls) {
  const TensorView x = calls.t(calls.image());
  const Activation activation = calls.a.activation();
  GRAFT_CHECK(activation != Activation::none, "activate: say which: act=relu, relu6, silu or sigmoid");
  calls.add("forward", ActivateArgs{.x = x, .y = x, .activation = activation});
  calls.add("backward", ActivateBackwardArgs{.saved = x, .dy = x, .dx = x, .activation = activation});
}

void add(Calls& calls) {
  const TensorView x = calls.t(calls.image());
  calls.add("forward", AddArgs{.a = x, .b = x, .y = x, .activation = calls.a.activation()});
}

void scale(Calls& calls) {
  const TensorView x = calls.t(calls.image());
  calls.add("forward", ScaleArgs{.x = x, .y = x, .factor = 0.5});
}

// Squeeze-and-excite's product: each channel of each image by its gate.
void gate(Calls& calls) {
  const Shape image = calls.image();
  const TensorView x = calls.t({image[0], image[1] * image[2], image[3]}), s = calls.t({image[0], image[3]});
  MultiplyArgs product{.x = x, .s = s, .y = x, .outer = image[0], .repeat = image[1] * image[2], .inner = image[3]};
  calls.add("forward", product);
  calls.add("backward",
            MultiplyReduceArgs{
                .x = x, .dy = x, .ds = s, .outer = product.outer, .repeat = product.repeat, .inner = product.inner});
}

PoolParams pooling(Attributes& a, Conv2dParams& conv) {
  PoolParams pool;
  conv = geometry(a, pool.window);
  pool.stride = conv.stride, pool.pad = conv.pad;
  GRAFT_CHECK(conv.dilation == Extent2{}, "{}: pooling has no dilation", a.operation());
  return pool;
}

void max_pool(Calls& calls) {
  const Shape image = calls.image();
  Conv2dParams conv;
  const PoolParams pool = pooling(calls.a, conv);
  const TensorView x = calls.t(image), y = calls.t(output_of(calls.a, image, pool.window, conv, image[3]));
  const TensorView index = tensor(DType::u8, y.shape);
  calls.add("forward", MaxPoolArgs{.x = x, .y = y, .index = index, .pool = pool});
  // Winners at the windows' centres: no padding there.
  const int32_t middle = pool.window.h / 2 * pool.window.w + pool.window.w / 2;
  fill(calls.add("backward", MaxPoolBackwardArgs{.dy = y, .index = index, .dx = x, .pool = pool}),
       &MaxPoolBackwardArgs::index, constant(middle));
}

void avg_pool(Calls& calls) {
  const Shape image = calls.image();
  Conv2dParams conv;
  const PoolParams pool = pooling(calls.a, conv);
  const TensorView x = calls.t(image), y = calls.t(output_of(calls.a, image, pool.window, conv, image[3]));
  calls.add("forward", AvgPoolArgs{.x = x, .y = y, .pool = pool});
  calls.add("backward", AvgPoolBackwardArgs{.dy = y, .dx = x, .pool = pool});
}

void global_avg_pool(Calls& calls) {
  const Shape image = calls.image();
  const TensorView x = calls.t(image), y = calls.t({image[0], 1, 1, image[3]});
  calls.add("forward", AdaptiveAvgPoolArgs{.x = x, .y = y});
  calls.add("backward", AdaptiveAvgPoolBackwardArgs{.dy = y, .dx = x});
}

void softmax(Calls& calls) {
  const int64_t n = calls.a.batch();
  const TensorView x = calls.t({n, calls.a.features("classes")});
  calls.add("forward", SoftmaxArgs{.x = x, .y = x});
  calls.add("backward", SoftmaxBackwardArgs{.y = x, .dy = x, .dx = x});
}

void softmax_cross_entropy(Calls& calls) {
  const int64_t n = calls.a.batch(), classes = calls.a.features("classes");
  const TensorView logits = calls.t({n, classes}), targets = tensor(DType::i64, {n}), loss = calls.v({1});
  fill(calls.add("forward", SoftmaxCrossEntropyArgs{.logits = logits, .targets = targets, .loss = loss}),
       &SoftmaxCrossEntropyArgs::targets, whole(classes));
  KernelCase& backward = calls.add(
      "backward",
      SoftmaxCrossEntropyBackwardArgs{.logits = logits, .targets = targets, .dloss = loss, .dlogits = logits});
  fill(backward, &SoftmaxCrossEntropyBackwardArgs::targets, whole(classes));
  fill(backward, &SoftmaxCrossEntropyBackwardArgs::dloss, constant(1));
}

void reduce(Calls& calls) {
  const Shape image = calls.image();
  ReduceArgs sum{.x = calls.t({1, image.rows(), image[3]}), .y = calls.v({1, image[3]})};
  sum.count = image.rows(), sum.inner = image[3];
  calls.add("forward", sum);
}

void cast(Calls& calls) {
  const Shape image = calls.image();
  const DType from = calls.a.dtype("from", DType::f32), to = calls.a.dtype("to", DType::bf16);
  KernelCase& c = calls.add("forward", CastArgs{.x = tensor(from, image), .y = tensor(to, image)});
  if (from == DType::u8) fill(c, &CastArgs::x, whole(256));
}

// Channels last, as graft has them, from channels first.
void to_nhwc(Calls& calls) {
  const Shape image = calls.image();
  PermuteArgs permute{.x = calls.t({image[0], image[3], image[1], image[2]}), .y = calls.t(image)};
  constexpr int32_t kOrder[] = {0, 2, 3, 1};
  std::copy(std::begin(kOrder), std::end(kOrder), permute.order);
  calls.add("forward", permute);
}

template <typename Args>
void fill_step(KernelCase& c) {
  fill(c, &Args::learning_rate, constant(1e-6));
  fill(c, &Args::step, constant(10));
}

// The optimisers: f32, whatever a network computes in.
void sgd(Calls& calls) {
  const TensorView p = tensor(DType::f32, {calls.a.count("count")}), step = tensor(DType::i64, {1});
  SgdArgs args{.gradient = p, .learning_rate = tensor(DType::f64, {1}), .step = step, .parameter = p, .velocity = p};
  args.momentum = 0.9, args.weight_decay = 1e-4;
  fill_step<SgdArgs>(calls.add("forward", args));
}

void adamw(Calls& calls) {
  const TensorView p = tensor(DType::f32, {calls.a.count("count")}), step = tensor(DType::i64, {1});
  AdamWArgs args{.gradient = p, .learning_rate = tensor(DType::f64, {1}), .step = step, .parameter = p, .m = p, .v = p};
  args.weight_decay = 0.01;
  KernelCase& c = calls.add("forward", args);
  fill_step<AdamWArgs>(c);
  fill(c, &AdamWArgs::v, kPositive);
}

struct Operation {
  const char *name, *attributes, *passes;
  void (*make)(Calls&);
};
constexpr Operation kOperations[] = {
    {"conv2d", "n h w c k [window stride pad dilation groups bias residual act]", "forward data weight", conv2d},
    {"depthwise_conv2d", "n h w c [window stride pad dilation bias act]", "forward data weight", depthwise_conv2d},
    {"linear", "n in out", "forward data weight", linear},
    {"batch_norm", "n h w c [act]", "forward backward inference", batch_norm},
    {"activate", "n h w c act", "forward backward", activate},
    {"add", "n h w c [act]", "forward", add},
    {"scale", "n h w c", "forward", scale},
    {"gate", "n h w c", "forward backward", gate},
    {"max_pool", "n h w c [window stride pad]", "forward backward", max_pool},
    {"avg_pool", "n h w c [window stride pad]", "forward backward", avg_pool},
    {"global_avg_pool", "n h w c", "forward backward", global_avg_pool},
    {"softmax", "n classes", "forward backward", softmax},
    {"softmax_cross_entropy", "n classes", "forward backward", softmax_cross_entropy},
    {"reduce", "n h w c", "forward", reduce},
    {"cast", "n h w c [from to]", "forward", cast},
    {"to_nhwc", "n h w c", "forward", to_nhwc},
    {"sgd", "count", "forward", sgd},
    {"adamw", "count", "forward", adamw},
};

KernelCase capped(const KernelCase& large, const Caps& caps) {
  // The type of a case is that of its first view that may have another.
  const DType type = large.view(0).dtype == DType::bf16 ? DType::bf16 : DType::f32;
  for (KernelCase& c : cases_of(large.line, type, caps))
    if (c.pass == large.pass) return std::move(c);
  throw InternalError("a case does not come of its own line: " + large.line);
}

}  // namespace

std::vector<KernelCase> cases_of(std::string_view line, DType dtype, const Caps& caps) {
  Attributes attributes(line, caps);
  for (const Operation& operation : kOperations) {
    if (attributes.operation() != operation.name) continue;
    Calls calls(attributes, dtype);
    operation.make(calls);
    attributes.expect_all_read();
    for (KernelCase& c : calls.cases) {
      c.line = attributes.line();
      GRAFT_CHECK(check_args(c.primitive, c.args.bytes) == Status::ok, "{}: {} is not defined for these sizes", c.line,
                  name_of(c.primitive));
    }
    return std::move(calls.cases);
  }
  std::vector<std::string> known;
  for (const Operation& operation : kOperations) known.emplace_back(operation.name);
  const auto near = models::near_names(attributes.operation(), known, 1);
  fail("there is no operation {}{}; there are {}", attributes.operation(),
       near.empty() ? "" : fmt::format("; did you mean {}?", near[0]), fmt::join(known, ", "));
}

KernelCase smaller(const KernelCase& large) {
  return capped(large, {.batch = 2, .pixels = 17, .channels = 70, .features = 300, .count = 10'007});
}

KernelCase smallest(const KernelCase& large) {
  return capped(large, {.batch = 1, .pixels = 1, .channels = 1, .features = 1, .count = 1});
}

std::string operations_help() {
  std::string text;
  for (const Operation& o : kOperations)
    text += fmt::format("{:22} {}\n{:22}   {}\n", o.name, o.attributes, "", o.passes);
  return text;
}

}  // namespace graft::bench
