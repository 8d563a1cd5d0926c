// The primitives: the one list of what a backend computes, and the arguments of each.
//
// An arguments struct begins with its views: inputs, then in-outs (read and written), then outputs, as its `kRoles`
// counts them; attributes follow. So one loop can visit the views of any call: to record it, to plan its memory, to
// test it. Letters in shapes: N batch, H W pixels, C channels, K outputs, R S kernel rows and columns. All tensors are
// dense. A call computes on elements of one floating-point type, f64, f32, bf16 or f16, unless a comment says
// otherwise. Beside 16-bit elements all that is summed up or scales a channel is f32: views marked ᶠ (biases,
// statistics, losses, gradients of parameters), and sums are made in f32 and rounded once, when they are stored. An
// absent view is optional where marked "?". A primitive never allocates. Outputs and in-outs share no memory with any
// other view of the call; where "may alias" is said, the output may be exactly that input's memory. What a comment does
// not define (another shape, type or attribute, an overlap) is Status::invalid_argument, and nothing is written.
//
// Special numbers follow from the formulas in IEEE arithmetic, read as they stand: NaN in a sum makes it NaN, and
// "where", "let pass" and "?:" choose a number, so that an infinite one that is not chosen leaves no NaN. Padded pixels
// are left out; but a dense convolution may multiply them, as zeros, by a weight or a gradient, which shows where that
// is infinite or NaN.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "contract/conv_params.h"
#include "contract/tensor_view.h"

namespace graft {

struct Roles {
  int32_t inputs = 0, inouts = 0, outputs = 0;
  constexpr int32_t total() const { return inputs + inouts + outputs; }
};

enum class Activation : int32_t { none = 0, relu, relu6, silu, sigmoid };
enum class Reduction : int32_t { sum = 0, mean, max };

// ---- convolution

// y = act(conv(x, weight) + bias + residual); cross-correlation, as every framework means it.
// x [N,H,W,C]; weight [K,R,S,C/groups]; bias?ᶠ [K]; residual? as y; y [N,Ho,Wo,K], Ho and Wo by output_extent, at
// least 1: the window fits in the padded image. Strides, dilations, groups at least 1, pads at least 0. N, C or K may
// be 0.
struct Conv2dArgs {
  static constexpr Roles kRoles{.inputs = 4, .outputs = 1};
  TensorView x, weight, bias, residual, y;
  Conv2dParams conv;
  Activation activation = Activation::none;
};

// dx = convᵀ(dy, weight); dy [N,Ho,Wo,K]; dx [N,H,W,C] fixes the size
struct Conv2dBackwardDataArgs {
  static constexpr Roles kRoles{.inputs = 2, .outputs = 1};
  TensorView dy, weight, dx;
  Conv2dParams conv;
};

// dweightᶠ[k,r,s,c] = Σ_{n,h,w} x[n, h·stride − pad + r·dilation, …, c] · dy[n,h,w,k]
struct Conv2dBackwardWeightArgs {
  static constexpr Roles kRoles{.inputs = 2, .outputs = 1};
  TensorView x, dy, dweight;
  Conv2dParams conv;
};

// Depthwise: one filter a channel; conv.groups is not looked at. x [N,H,W,C]; weight [R,S,C]; bias?ᶠ [C]; y
// [N,Ho,Wo,C]; squeeze?ᶠ [N,C] = Σ_{h,w} y[n,h,w,c], of y as it was stored: what squeeze-and-excite begins with.
struct DepthwiseConv2dArgs {
  static constexpr Roles kRoles{.inputs = 3, .outputs = 2};
  TensorView x, weight, bias, y, squeeze;
  Conv2dParams conv;
  Activation activation = Activation::none;
};
struct DepthwiseConv2dBackwardDataArgs {
  static constexpr Roles kRoles{.inputs = 2, .outputs = 1};
  TensorView dy, weight, dx;
  Conv2dParams conv;
};
struct DepthwiseConv2dBackwardWeightArgs {  // dweightᶠ
  static constexpr Roles kRoles{.inputs = 2, .outputs = 1};
  TensorView x, dy, dweight;
  Conv2dParams conv;
};

// Squeeze-and-excite (Hu et al. 2018), from sums over an image's pixels to the gate that scales its channels:
//   hidden = act(weight1 · (factor · squeeze) + bias1),  gate = gate_act(weight2 · hidden + bias2)
// squeezeᶠ [N,C]; weight1 [S,C]; bias1?ᶠ [S]; weight2 [C,S]; bias2?ᶠ [C]; gate [N,C], of the weights' type. hidden is
// not rounded between. factor: 1 / pixels, or 1 where squeeze is a mean. S at most kMaxUnits: hidden lies in a block's
// shared memory. No backward: training calls the layers one by one.
struct SqueezeExciteArgs {
  static constexpr int64_t kMaxUnits = 8192;
  static constexpr Roles kRoles{.inputs = 5, .outputs = 1};
  TensorView squeeze, weight1, bias1, weight2, bias2, gate;
  double factor = 1;
  Activation activation = Activation::none, gate_activation = Activation::sigmoid;
};

// ---- normalisation (per channel, over all rows m = N·H·W)

// mean = Σx / m, var = Σ(x − mean)² / m, z = (x − mean) / √(var + eps) · weight + bias + residual, y = act(z)
// x, residual?, y [...,C]; weightᶠ, biasᶠ, meanᶠ, varᶠ [C]; eps >= 0. No rows: mean and var are NaN.
// mask? u8 [rows, C / v], of relu and relu6 alone: bit k of byte [i, j] says that the activation let element [i, j·v +
// k] pass, relu z > 0, relu6 0 < z < 6; v is 8 where that divides C, else 1: no byte spans two rows (mask_shape below).
struct BatchNormTrainingArgs {
  static constexpr Roles kRoles{.inputs = 4, .outputs = 4};
  TensorView x, weight, bias, residual, y, mean, var, mask;
  double eps = 1e-5;
  Activation activation = Activation::none;
};

// The same with given statistics.
struct BatchNormInferenceArgs {
  static constexpr Roles kRoles{.inputs = 6, .outputs = 2};
  TensorView x, weight, bias, mean, var, residual, y, mask;
  double eps = 1e-5;
  Activation activation = Activation::none;
};

constexpr int64_t mask_width(int64_t channels) { return channels % 8 == 0 ? 8 : 1; }
constexpr Shape mask_shape(const Shape& x) { return {x.rows(), x.channels() / mask_width(x.channels())}; }

// With x̂ = (x − mean) / √(var + eps) and g = dy · act′(z). No tensor is kept for act′: z = x̂ · weight + bias is made
// again from x, which is read anyway, and where a residual went into z, mask? tells what relu or relu6 let pass. So an
// activation needs bias? (no residual) or mask? (which comes first). What relu does not let pass is 0, whatever dy is
// there. No rows: the sums are 0.
//   dbiasᶠ = Σ g    dweightᶠ = Σ g·x̂    dresidual = g
//   dx = weight / √(var + eps) · (g − dbias/m − x̂·dweight/m)       statistics of this batch (batch_statistics = 1)
//   dx = weight / √(var + eps) · g                                given statistics       (batch_statistics = 0)
struct BatchNormBackwardArgs {
  static constexpr Roles kRoles{.inputs = 7, .outputs = 4};
  TensorView x, dy, weight, bias, mean, var, mask, dx, dweight, dbias, dresidual;  // every output optional
  double eps = 1e-5;
  int32_t batch_statistics = 1;
  Activation activation = Activation::none;
};

// running ← (1 − momentum)·running + momentum·batch, the variance with Bessel's m / (m − 1), unless flag? (i64 [1]) is
// up. 0 <= momentum <= 1; all [C], f32 or f64
struct UpdateRunningStatsArgs {
  static constexpr Roles kRoles{.inputs = 3, .inouts = 2};
  TensorView mean, var, flag, running_mean, running_var;
  double momentum = 0.1;
  int64_t rows = 0;  // m; at least 2
};

// ---- activations and elementwise

// relu max(x, 0) · relu6 min(max(x, 0), 6) · silu x·σ(x) · sigmoid σ(x) = 1 / (1 + e^−x). NaN stays NaN. y may alias x.
struct ActivateArgs {
  static constexpr Roles kRoles{.inputs = 1, .outputs = 1};
  TensorView x, y;
  Activation activation = Activation::none;
};

// dx = dy · act′, `saved` being y or x: relu y > 0 ? dy : 0 · relu6 0 < y < 6 ? dy : 0 · sigmoid dy·y·(1 − y) · silu
// dy·σ(x)·(1 + x·(1 − σ(x))) · none dy. dx may alias dy.
struct ActivateBackwardArgs {
  static constexpr Roles kRoles{.inputs = 2, .outputs = 1};
  TensorView saved, dy, dx;
  Activation activation = Activation::none;
};

// y = act(a + b); y may alias a or b
struct AddArgs {
  static constexpr Roles kRoles{.inputs = 2, .outputs = 1};
  TensorView a, b, y;
  Activation activation = Activation::none;
};

// y = x · factor; y may alias x
struct ScaleArgs {
  static constexpr Roles kRoles{.inputs = 1, .outputs = 1};
  TensorView x, y;
  double factor = 1;
};

// Multiply with broadcast over the middle: x, y [outer, repeat, inner], s [outer, inner]:  y[o,r,i] = x[o,r,i] ·
// s[o,i]. Squeeze-and-excite: outer N, repeat H·W, inner C. Dropout: repeat 1. Stochastic depth: outer N, inner 1. y
// may alias x.
struct MultiplyArgs {
  static constexpr Roles kRoles{.inputs = 2, .outputs = 1};
  TensorView x, s, y;
  int64_t outer = 1, repeat = 1, inner = 1;
};

// ds[o,i] = Σ_r x[o,r,i] · dy[o,r,i]
struct MultiplyReduceArgs {
  static constexpr Roles kRoles{.inputs = 2, .outputs = 1};
  TensorView x, dy, ds;
  int64_t outer = 1, repeat = 1, inner = 1;
};

struct FillArgs {
  static constexpr Roles kRoles{.outputs = 1};
  TensorView y;  // any type
  double value = 0;
};

// y = x in y's type, any type to any; floats round once, to nearest even, and overflow to ∞; to integers toward zero
// and saturate, NaN to 0.
struct CastArgs {
  static constexpr Roles kRoles{.inputs = 1, .outputs = 1};
  TensorView x, y;
};

// ---- layout

// y's axis a is x's axis order[a]; any type
struct PermuteArgs {
  static constexpr Roles kRoles{.inputs = 1, .outputs = 1};
  TensorView x, y;
  int32_t order[kMaxRank] = {};
};

// y[o, y_begin + i] = x[o, x_begin + i] for o < outer, i < count, rows of x_row and y_row elements; the rest of y is
// left alone. Any type. Concatenation and slicing along any axis.
struct CopySliceArgs {
  static constexpr Roles kRoles{.inputs = 1, .inouts = 1};
  TensorView x, y;
  int64_t outer = 1, count = 0, x_row = 0, y_row = 0, x_begin = 0, y_begin = 0;
};

// The parameter-free shortcut of He et al. 2015, option A: y[n,h,w,c] = x[n, h·stride, w·stride, c − before], else 0.
// x [N,H,W,C]; y [N,⌈H/stride⌉,⌈W/stride⌉,K], before + C <= K
struct SubsamplePadArgs {
  static constexpr Roles kRoles{.inputs = 1, .outputs = 1};
  TensorView x, y;
  int32_t stride = 1;
  int32_t before = 0;
};
struct SubsamplePadBackwardArgs {
  static constexpr Roles kRoles{.inputs = 1, .outputs = 1};
  TensorView dy, dx;
  int32_t stride = 1;
  int32_t before = 0;
};

// ---- pooling

// The largest pixel of each window; of equals the first in row order; NaN wins, the first of several. index? u8, as y:
// r·S + s of the winner (window of at most 255 pixels). In every pooling each window holds a real pixel: pad < window,
// H and W at least 1.
struct MaxPoolArgs {
  static constexpr Roles kRoles{.inputs = 1, .outputs = 2};
  TensorView x, y, index;
  PoolParams pool;
};
struct MaxPoolBackwardArgs {
  static constexpr Roles kRoles{.inputs = 2, .outputs = 1};
  TensorView dy, index, dx;
  PoolParams pool;
};

// Mean of each window; divided by its pixels, padded ones included if count_include_pad.
struct AvgPoolArgs {
  static constexpr Roles kRoles{.inputs = 1, .outputs = 1};
  TensorView x, y;
  PoolParams pool;
};
struct AvgPoolBackwardArgs {
  static constexpr Roles kRoles{.inputs = 1, .outputs = 1};
  TensorView dy, dx;
  PoolParams pool;
};

// Output pixel o is the mean of input pixels ⌊o·H/Ho⌋ … ⌈(o+1)·H/Ho⌉ − 1, likewise in W. Ho = Wo = 1: the global mean.
struct AdaptiveAvgPoolArgs {
  static constexpr Roles kRoles{.inputs = 1, .outputs = 1};
  TensorView x, y;
};
struct AdaptiveAvgPoolBackwardArgs {
  static constexpr Roles kRoles{.inputs = 1, .outputs = 1};
  TensorView dy, dx;
};

// ---- matrix product, reduction, softmax

// y = act(op(a)·op(b) + bias), op(a) [M,K], op(b) [K,N], y [M,N], bias?ᶠ [N]; op transposes the two axes if asked.
// Beside 16-bit a and b, y may be f32: logits, and gradients of weights.
struct MatmulArgs {
  static constexpr Roles kRoles{.inputs = 3, .outputs = 1};
  TensorView a, b, bias, y;
  int32_t transpose_a = 0, transpose_b = 0;
  Activation activation = Activation::none;
};

// x [outer, count, inner] → y [outer, inner]; the sum of nothing is 0, the mean or maximum of nothing NaN; the maximum
// of numbers with a NaN among them is NaN. Beside a 16-bit x, y may be f32: gradients of biases.
struct ReduceArgs {
  static constexpr Roles kRoles{.inputs = 1, .outputs = 1};
  TensorView x, y;
  Reduction reduction = Reduction::sum;
  int64_t outer = 1, count = 1, inner = 1;
};

// y[o,r,i] = x[o,i] · factor: the backward of sum and mean
struct BroadcastArgs {
  static constexpr Roles kRoles{.inputs = 1, .outputs = 1};
  TensorView x, y;
  double factor = 1;
  int64_t outer = 1, count = 1, inner = 1;
};

// Over the last axis, largest value subtracted first. x, y [..., classes]; NaN, +∞ or nothing but −∞ make a row NaN
struct SoftmaxArgs {
  static constexpr Roles kRoles{.inputs = 1, .outputs = 1};
  TensorView x, y;
};
// dx = y · (dy − Σ y·dy)
struct SoftmaxBackwardArgs {
  static constexpr Roles kRoles{.inputs = 2, .outputs = 1};
  TensorView y, dy, dx;
};

// With ε label smoothing, w class weights (1 if absent), t = targets[i], W = Σ_i w[t_i], lse = log Σ_k e^logits[i,k]:
//   loss = 1/W Σ_i ((1 − ε)·w[t]·(lse − logits[i,t]) + ε/K Σ_k w[k]·(lse − logits[i,k]))
// logits [rows,K]; targets i64 [rows]; class_weights?ᶠ [K]; lossᶠ [1]; a target outside [0, K) makes the loss NaN and
// the whole gradient too; no rows give NaN. 0 <= ε <= 1; with ε = 0 the sum over k is left out, so that a logit of −∞
// is harmless.
struct SoftmaxCrossEntropyArgs {
  static constexpr Roles kRoles{.inputs = 3, .outputs = 1};
  TensorView logits, targets, class_weights, loss;
  double label_smoothing = 0;
};
// dlogits[i,k] = dlossᶠ/W · (((1 − ε)·w[t] + ε/K Σ_j w[j])·p[k] − (1 − ε)·w[t]·[k = t] − ε/K·w[k]),  p =
// softmax(logits[i])
struct SoftmaxCrossEntropyBackwardArgs {
  static constexpr Roles kRoles{.inputs = 4, .outputs = 1};
  TensorView logits, targets, class_weights, dloss, dlogits;
  double label_smoothing = 0;
};

// ---- random numbers

// y[i] = u_i >= probability ? 1 / (1 − probability) : 0 with u_i in [0,1) from Philox-4x32-10 (contract/philox.h):
// key = seed, counter = {offset + i / 4 (64 bit), stream}, word i % 4. state i64 [2] = {seed, offset}. 0 <= probability
// < 1. u_i has 24 bits and is compared in double; in integers: word >> 8 >= ⌈probability · 2^24⌉.
struct BernoulliMaskArgs {
  static constexpr Roles kRoles{.inputs = 1, .outputs = 1};
  TensorView state, y;
  double probability = 0;
  int64_t stream = 0;  // one number a call site: two masks of one step are independent
};

// ---- optimiser

// flag (i64 [1]) becomes 1 if any element of x is infinite or NaN; it is never cleared here.
struct CheckFiniteArgs {
  static constexpr Roles kRoles{.inputs = 1, .inouts = 1};
  TensorView x, flag;
};

// The optimisers work on any piece of memory: a tensor, or all parameters of a group behind each other, in one call.
// All views are f32 or f64 (learning_rate is always f64 [1]) but copy?, bf16 or f16: the parameter as it comes out,
// rounded. Nothing moves while flag? is up, but the copy is written. step i64 [1] counts finished steps.
// g = gradient · gradient_factor? ([1], clip_factor's) + weight_decay·parameter
//   v = first ? g : momentum·v + g;  parameter −= lr·(nesterov ? g + momentum·v : v)
// velocity? is needed, and moves, only when momentum is not 0; first means step 0.
struct SgdArgs {
  static constexpr Roles kRoles{.inputs = 5, .inouts = 2, .outputs = 1};
  TensorView gradient, learning_rate, step, flag, gradient_factor, parameter, velocity, copy;
  double momentum = 0, weight_decay = 0;
  int32_t nesterov = 0;
};

// Loshchilov & Hutter 2019, algorithm 2, t = step + 1, g = gradient · gradient_factor?:
//   parameter −= lr·weight_decay·parameter;  m = β1·m + (1 − β1)·g;  v = β2·v + (1 − β2)·g²
//   parameter −= lr / (1 − β1^t) · m / (√(v / (1 − β2^t)) + eps)        0 <= β < 1
struct AdamWArgs {
  static constexpr Roles kRoles{.inputs = 5, .inouts = 3, .outputs = 1};
  TensorView gradient, learning_rate, step, flag, gradient_factor, parameter, m, v, copy;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
};

// average ← decay·average + (1 − decay)·parameter unless flag? is up. 0 <= decay < 1; f32 or f64, of equal shape
struct EmaArgs {
  static constexpr Roles kRoles{.inputs = 2, .inouts = 1};
  TensorView parameter, flag, average;
  double decay = 0.999;
};

// Clipping by the global norm (Pascanu et al. 2013, algorithm 1): norm = √Σ gradient², factor = norm > max_norm ?
// max_norm / norm : 1. Sums are f64. A norm that is not finite there, as one of the elements is not, raises flag?
// (i64 [1]); the factor then is 1. gradient of any extents, f32 or f64; norm [1], factor [1]; max_norm > 0
struct ClipFactorArgs {
  static constexpr Roles kRoles{.inputs = 1, .inouts = 1, .outputs = 2};
  TensorView gradient, flag, norm, factor;
  double max_norm = 1;
};

// step += 1 and random state's offset += advance, unless flag? is up. step i64 [1]; random_state? i64 [2]
struct FinishStepArgs {
  static constexpr Roles kRoles{.inputs = 1, .inouts = 2};
  TensorView flag, step, random_state;
  int64_t advance = 0;
};

// ---- images

enum class ResizeFilter : int32_t { bilinear = 0, bicubic };  // antialiased, as Pillow's; bicubic with a = −0.5

// Photos of different sizes, RGB with a byte a channel behind each other in `pixels` (u8), to a batch y [N,H,W,3] of
// any floating-point type. For image n: the crop is resized to resized_h × resized_w, the H × W pixels of that from
// (y, x) on are taken, mirrored if asked, and made (v / 255 − mean) / std for each channel.
// boxes i64 [N, kBoxFields]: where the photo begins in `pixels`, its width and height, the crop's left, top, width and
// height, resized width and height, x, y, mirrored: ResizeBox, in contract/resize_box.h, says which fit. An image whose
// box does not becomes NaN; nothing outside `pixels` is read.
// Resampling along an axis by scale = crop extent / resized extent (Pillow's Resample.c): output o has its centre at
// (o + ½)·scale within the crop, the filter is stretched by max(scale, 1), and the weights of the input pixels (of the
// crop alone) from ⌊centre − support + ½⌋ to ⌊centre + support + ½⌋ − 1 are normalised to a sum of 1; support: 1 or 2
// times max(scale, 1). Rows come first, then columns; what comes of either is clamped to 0 … 255, and not rounded.
struct ResizeImagesArgs {
  static constexpr int64_t kBoxFields = 12;
  static constexpr Roles kRoles{.inputs = 2, .outputs = 1};
  TensorView pixels, boxes, y;
  double mean[3] = {0, 0, 0}, std[3] = {1, 1, 1};
  ResizeFilter filter = ResizeFilter::bilinear;
};

// ---- the list

// X(name, arguments)
#define GRAFT_PRIMITIVES(X)                                              \
  X(conv2d, Conv2dArgs)                                                  \
  X(conv2d_backward_data, Conv2dBackwardDataArgs)                        \
  X(conv2d_backward_weight, Conv2dBackwardWeightArgs)                    \
  X(depthwise_conv2d, DepthwiseConv2dArgs)                               \
  X(depthwise_conv2d_backward_data, DepthwiseConv2dBackwardDataArgs)     \
  X(depthwise_conv2d_backward_weight, DepthwiseConv2dBackwardWeightArgs) \
  X(squeeze_excite, SqueezeExciteArgs)                                   \
  X(batch_norm_training, BatchNormTrainingArgs)                          \
  X(batch_norm_inference, BatchNormInferenceArgs)                        \
  X(batch_norm_backward, BatchNormBackwardArgs)                          \
  X(update_running_stats, UpdateRunningStatsArgs)                        \
  X(activate, ActivateArgs)                                              \
  X(activate_backward, ActivateBackwardArgs)                             \
  X(add, AddArgs)                                                        \
  X(scale, ScaleArgs)                                                    \
  X(multiply, MultiplyArgs)                                              \
  X(multiply_reduce, MultiplyReduceArgs)                                 \
  X(fill, FillArgs)                                                      \
  X(cast, CastArgs)                                                      \
  X(permute, PermuteArgs)                                                \
  X(copy_slice, CopySliceArgs)                                           \
  X(subsample_pad, SubsamplePadArgs)                                     \
  X(subsample_pad_backward, SubsamplePadBackwardArgs)                    \
  X(max_pool, MaxPoolArgs)                                               \
  X(max_pool_backward, MaxPoolBackwardArgs)                              \
  X(avg_pool, AvgPoolArgs)                                               \
  X(avg_pool_backward, AvgPoolBackwardArgs)                              \
  X(adaptive_avg_pool, AdaptiveAvgPoolArgs)                              \
  X(adaptive_avg_pool_backward, AdaptiveAvgPoolBackwardArgs)             \
  X(matmul, MatmulArgs)                                                  \
  X(reduce, ReduceArgs)                                                  \
  X(broadcast, BroadcastArgs)                                            \
  X(softmax, SoftmaxArgs)                                                \
  X(softmax_backward, SoftmaxBackwardArgs)                               \
  X(softmax_cross_entropy, SoftmaxCrossEntropyArgs)                      \
  X(softmax_cross_entropy_backward, SoftmaxCrossEntropyBackwardArgs)     \
  X(bernoulli_mask, BernoulliMaskArgs)                                   \
  X(check_finite, CheckFiniteArgs)                                       \
  X(sgd, SgdArgs)                                                        \
  X(adamw, AdamWArgs)                                                    \
  X(ema, EmaArgs)                                                        \
  X(clip_factor, ClipFactorArgs)                                         \
  X(finish_step, FinishStepArgs)                                         \
  X(resize_images, ResizeImagesArgs)

enum class Primitive : int32_t {
#define X(name, Args) name,
  GRAFT_PRIMITIVES(X)
#undef X
};

struct PrimitiveInfo {
  const char* name;
  Roles roles;
  size_t args_bytes;
};

inline constexpr PrimitiveInfo kPrimitives[] = {
#define X(name, Args) {#name, Args::kRoles, sizeof(Args)},
    GRAFT_PRIMITIVES(X)
#undef X
};
inline constexpr int kPrimitiveCount = sizeof(kPrimitives) / sizeof(kPrimitives[0]);

constexpr const PrimitiveInfo& info_of(Primitive p) { return kPrimitives[static_cast<int32_t>(p)]; }
constexpr const char* name_of(Primitive p) { return info_of(p).name; }

// primitive_of<Conv2dArgs> is Primitive::conv2d
template <typename Args>
inline constexpr Primitive primitive_of = Primitive{-1};
#define X(name, Args)                                                                    \
  template <>                                                                            \
  inline constexpr Primitive primitive_of<Args> = Primitive::name;                       \
  static_assert(std::is_standard_layout_v<Args> && std::is_trivially_copyable_v<Args> && \
                sizeof(Args) >= static_cast<size_t>(Args::kRoles.total()) * sizeof(TensorView));
GRAFT_PRIMITIVES(X)
#undef X

// Room for the arguments of any primitive.
struct AnyArgs {
  static constexpr size_t kBytes = [] {
    size_t largest = 0;
    for (const PrimitiveInfo& p : kPrimitives)
      if (p.args_bytes > largest) largest = p.args_bytes;
    return largest;
  }();
  alignas(16) unsigned char bytes[kBytes];
};

// The views an arguments struct begins with; kRoles says how many and which.
inline TensorView* views_of(void* args) { return static_cast<TensorView*>(args); }
inline const TensorView* views_of(const void* args) { return static_cast<const TensorView*>(args); }

}  // namespace graft
