// What a node computes: one struct an operation, with its attributes and nothing else. Images are [N, H, W, C].
#pragma once
#include <cstdint>
#include <variant>

#include "contract/conv_params.h"
#include "contract/primitives.h"

namespace graft::models {

// How a parameter begins when a network is trained from scratch. Drawn by whoever trains.
struct Initializer {
  enum class Kind : uint8_t { zeros, ones, normal, uniform };
  Kind kind = Kind::zeros;
  double scale = 0;  // normal: standard deviation; uniform: drawn from [-scale, scale]
  friend bool operator==(const Initializer&, const Initializer&) = default;
};

// The image. The graph's own size; most networks take others too.
struct Input {
  int64_t height = 0, width = 0, channels = 0;
  friend bool operator==(const Input&, const Input&) = default;
};

struct Conv2d {
  int64_t in_channels = 0, out_channels = 0;
  Extent2 window, stride, dilation;
  Padding pad;
  bool same = false;  // TensorFlow's SAME: padding follows from the size of the input, `pad` is not looked at
  int32_t groups = 1;
  bool bias = false;
  Initializer weight_init, bias_init;
  friend bool operator==(const Conv2d&, const Conv2d&) = default;

  bool depthwise() const { return groups > 1 && groups == in_channels && groups == out_channels; }
};

struct BatchNorm {
  int64_t channels = 0;
  double eps = 1e-5, momentum = 0.1;
  friend bool operator==(const BatchNorm&, const BatchNorm&) = default;
};

struct Activate {
  Activation activation = Activation::relu;
  friend bool operator==(const Activate&, const Activate&) = default;
};

// a + b
struct Add {
  friend bool operator==(const Add&, const Add&) = default;
};

// a · b of one shape, or b [N, 1, 1, C] as a factor for each channel (squeeze-and-excite)
struct Multiply {
  friend bool operator==(const Multiply&, const Multiply&) = default;
};

struct MaxPool {
  Extent2 window, stride;
  Padding pad;
  friend bool operator==(const MaxPool&, const MaxPool&) = default;
};

struct AvgPool {
  Extent2 window, stride;
  Padding pad;
  bool count_include_pad = true;
  friend bool operator==(const AvgPool&, const AvgPool&) = default;
};

// To a fixed number of pixels; 1 x 1 is the global mean.
struct AdaptiveAvgPool {
  Extent2 output;
  friend bool operator==(const AdaptiveAvgPool&, const AdaptiveAvgPool&) = default;
};

// y = x · weightᵀ + bias on [N, in_features]
struct Linear {
  int64_t in_features = 0, out_features = 0;
  bool bias = true;
  Initializer weight_init, bias_init;
  friend bool operator==(const Linear&, const Linear&) = default;
};

// [N, H, W, C] to [N, C·H·W]: in PyTorch's order, channels slowest, so that linear weights map one to one
struct Flatten {
  friend bool operator==(const Flatten&, const Flatten&) = default;
};

// The shortcut without parameters of He et al. 2015, option A: every stride-th pixel, `before` zero channels in front.
struct SubsamplePad {
  int64_t out_channels = 0;
  int32_t stride = 1, before = 0;
  friend bool operator==(const SubsamplePad&, const SubsamplePad&) = default;
};

struct Dropout {
  double probability = 0;
  friend bool operator==(const Dropout&, const Dropout&) = default;
};

// Drops a whole image's branch (torchvision's mode "row").
struct StochasticDepth {
  double probability = 0;
  friend bool operator==(const StochasticDepth&, const StochasticDepth&) = default;
};

// Over the last axis of [N, classes].
struct Softmax {
  friend bool operator==(const Softmax&, const Softmax&) = default;
};

// Along channels, two inputs or more.
struct Concat {
  friend bool operator==(const Concat&, const Concat&) = default;
};

using Op = std::variant<Input, Conv2d, BatchNorm, Activate, Add, Multiply, MaxPool, AvgPool, AdaptiveAvgPool, Linear,
                        Flatten, SubsamplePad, Dropout, StochasticDepth, Softmax, Concat>;

// "conv2d", "batch_norm", "relu6", …: the word for an operation in files and tables.
const char* kind_of(const Op& op);

// Active in training and off in inference.
bool is_stochastic(const Op& op);

}  // namespace graft::models
