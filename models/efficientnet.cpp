// EfficientNet B0 to B7 (Tan & Le 2019, arXiv:1905.11946), names and initialisation of torchvision, and
// EfficientNet-Lite0 to 4, names of the original PyTorch port (`_blocks.0._depthwise_conv`): no squeeze-and-excite,
// ReLU6, TensorFlow's padding, and a stem, a head and first and last stages that do not grow.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "models/builder.h"
#include "models/registry.h"

namespace graft::models {

namespace {

struct Stage {
  int64_t expand;
  int32_t kernel, stride;
  int64_t in, out;
  int repeats;
};

// Tan & Le, table 1, stages 2 to 8
constexpr Stage kStages[] = {
    // expand kernel stride in out repeats
    {1, 3, 1, 32, 16, 1},  {6, 3, 2, 16, 24, 2},   {6, 5, 2, 24, 40, 2},   {6, 3, 2, 40, 80, 3},
    {6, 5, 1, 80, 112, 3}, {6, 5, 2, 112, 192, 4}, {6, 3, 1, 192, 320, 1},
};
constexpr int kStageCount = 7;

struct EfficientNetConfig {
  const char* name;
  double width, depth;
  int32_t resize, crop;
  double dropout;
  double eps, momentum;  // of batch norm
};

constexpr EfficientNetConfig kEfficientNets[] = {
    // name          width depth resize crop dropout  eps momentum
    {"efficientnet_b0", 1.0, 1.0, 256, 224, 0.2, 1e-5, 0.1},  {"efficientnet_b1", 1.0, 1.1, 256, 240, 0.2, 1e-5, 0.1},
    {"efficientnet_b2", 1.1, 1.2, 288, 288, 0.3, 1e-5, 0.1},  {"efficientnet_b3", 1.2, 1.4, 320, 300, 0.3, 1e-5, 0.1},
    {"efficientnet_b4", 1.4, 1.8, 384, 380, 0.4, 1e-5, 0.1},  {"efficientnet_b5", 1.6, 2.2, 456, 456, 0.4, 1e-3, 0.01},
    {"efficientnet_b6", 1.8, 2.6, 528, 528, 0.5, 1e-3, 0.01}, {"efficientnet_b7", 2.0, 3.1, 600, 600, 0.5, 1e-3, 0.01},
};

constexpr EfficientNetConfig kLites[] = {
    {"efficientnet_lite0", 1.0, 1.0, 256, 224, 0.2, 1e-3, 0.01},
    {"efficientnet_lite1", 1.0, 1.1, 272, 240, 0.2, 1e-3, 0.01},
    {"efficientnet_lite2", 1.1, 1.2, 292, 260, 0.3, 1e-3, 0.01},
    {"efficientnet_lite3", 1.2, 1.4, 312, 280, 0.3, 1e-3, 0.01},
    {"efficientnet_lite4", 1.4, 1.8, 332, 300, 0.3, 1e-3, 0.01},
};

// Stochastic depth grows linearly from 0 to this over the blocks (Huang et al. 2016).
constexpr double kStochasticDepth = 0.2;

// To a multiple of 8, never more than a tenth down.
int64_t scale_channels(int64_t channels, double width) {
  const double scaled = static_cast<double>(channels) * width;
  const int64_t rounded = std::max<int64_t>(8, static_cast<int64_t>(scaled + 4) / 8 * 8);
  return static_cast<double>(rounded) < 0.9 * scaled ? rounded + 8 : rounded;
}
int scale_repeats(int repeats, double depth) { return static_cast<int>(std::ceil(repeats * depth)); }

// ---- B0 to B7

NodeId conv_norm(Builder& g, std::string_view name, NodeId x, int64_t out, int32_t kernel, ConvOptions options,
                 const EfficientNetConfig& c) {
  const auto scope = g.scope(name);
  return g.batch_norm("1", g.conv("0", x, out, kernel, options), c.eps, c.momentum);
}
NodeId silu(Builder& g, std::string_view name, NodeId x) {
  const auto scope = g.scope(name);
  return g.activate(Activation::silu, x, "2");
}

// x · sigmoid(fc2(silu(fc1(mean of x over pixels))))   (Hu et al. 2018)
NodeId squeeze_excite(Builder& g, std::string_view name, NodeId x, int64_t squeezed) {
  const auto scope = g.scope(name);
  NodeId s = g.conv("fc1", g.global_avg_pool(x), squeezed, 1, {.bias = true});
  s = g.conv("fc2", g.activate(Activation::silu, s, "activation"), g.channels(x), 1, {.bias = true});
  return g.multiply(x, g.activate(Activation::sigmoid, s, "scale_activation"));
}

// expand → depthwise → squeeze-and-excite → project (+ x); `index` counts torchvision's Sequential
NodeId mbconv(Builder& g, NodeId x, int64_t expand, int32_t kernel, int32_t stride, int64_t out, double drop,
              const EfficientNetConfig& c) {
  const int64_t in = g.channels(x);
  int index = 0;
  const auto next = [&] { return fmt::format("block.{}", index++); };
  NodeId y = x;
  if (const int64_t expanded = scale_channels(in * expand, 1); expanded != in) {
    const auto name = next();
    y = silu(g, name, conv_norm(g, name, y, expanded, 1, {}, c));
  }
  const auto name = next();
  const auto groups = static_cast<int32_t>(g.channels(y));
  y = silu(g, name, conv_norm(g, name, y, groups, kernel, {.stride = stride, .groups = groups}, c));
  y = squeeze_excite(g, next(), y, std::max<int64_t>(1, in / 4));
  y = conv_norm(g, next(), y, out, 1, {}, c);
  return stride == 1 && in == out ? g.add(g.stochastic_depth(drop, y), x) : y;
}

Graph make_efficientnet(const EfficientNetConfig& c, int64_t classes) {
  int total = 0, block = 0;
  for (const Stage& s : kStages) total += scale_repeats(s.repeats, c.depth);

  Builder g(c.name, {.conv = kaiming_normal_fan_out, .linear = uniform_fan_out, .linear_bias = zeros});
  NodeId x = g.input(c.crop, c.crop, 3);
  x = silu(g, "features.0", conv_norm(g, "features.0", x, scale_channels(32, c.width), 3, {.stride = 2}, c));
  for (int stage = 0; stage < kStageCount; ++stage) {
    const Stage& s = kStages[stage];
    for (int i = 0; i < scale_repeats(s.repeats, c.depth); ++i, ++block) {
      const auto scope = g.scope(fmt::format("features.{}.{}", stage + 1, i));
      x = mbconv(g, x, s.expand, s.kernel, i == 0 ? s.stride : 1, scale_channels(s.out, c.width),
                 kStochasticDepth * block / total, c);
    }
  }
  x = silu(g, "features.8", conv_norm(g, "features.8", x, 4 * g.channels(x), 1, {}, c));
  x = g.flatten(g.global_avg_pool(x));
  const auto scope = g.scope("classifier");
  g.output(g.linear("1", g.dropout(c.dropout, x, "0"), classes));
  g.head("classifier.1");
  return g.finish();
}

// ---- Lite0 to 4

NodeId lite_block(Builder& g, NodeId x, int64_t expand, int32_t kernel, int32_t stride, int64_t out, double drop,
                  const EfficientNetConfig& c) {
  const int64_t in = g.channels(x);
  NodeId y = x;
  if (expand != 1) {
    y = g.conv("_expand_conv", y, in * expand, 1, {.same = true});
    y = g.activate(Activation::relu6, g.batch_norm("_bn0", y, c.eps, c.momentum));
  }
  y = g.depthwise("_depthwise_conv", y, kernel, {.stride = stride, .same = true});
  y = g.activate(Activation::relu6, g.batch_norm("_bn1", y, c.eps, c.momentum));
  y = g.batch_norm("_bn2", g.conv("_project_conv", y, out, 1, {.same = true}), c.eps, c.momentum);
  return stride == 1 && in == out ? g.add(g.stochastic_depth(drop, y, "drop_connect"), x) : y;
}

Graph make_lite(const EfficientNetConfig& c, int64_t classes) {
  const auto repeats = [&](int stage) {
    const int n = kStages[stage].repeats;
    return stage == 0 || stage == kStageCount - 1 ? n : scale_repeats(n, c.depth);
  };
  int total = 0, block = 0;
  for (int stage = 0; stage < kStageCount; ++stage) total += repeats(stage);

  Builder g(c.name, {.conv = kaiming_normal_group_fan_out, .linear = uniform_fan_out, .linear_bias = zeros});
  NodeId x = g.conv("_conv_stem", g.input(c.crop, c.crop, 3), 32, 3, {.stride = 2, .same = true});
  x = g.activate(Activation::relu6, g.batch_norm("_bn0", x, c.eps, c.momentum));
  for (int stage = 0; stage < kStageCount; ++stage) {
    const Stage& s = kStages[stage];
    for (int i = 0; i < repeats(stage); ++i, ++block) {
      const auto scope = g.scope(fmt::format("_blocks.{}", block));
      x = lite_block(g, x, s.expand, s.kernel, i == 0 ? s.stride : 1, scale_channels(s.out, c.width),
                     kStochasticDepth * block / total, c);
    }
  }
  x = g.conv("_conv_head", x, 1280, 1, {.same = true});
  x = g.activate(Activation::relu6, g.batch_norm("_bn1", x, c.eps, c.momentum));
  x = g.flatten(g.global_avg_pool(x, "_avg_pooling"));
  g.output(g.linear("_fc", g.dropout(c.dropout, x, "_dropout"), classes));
  g.head("_fc");
  return g.finish();
}

}  // namespace

std::vector<Model> efficientnets() {
  std::vector<Model> models;
  for (const EfficientNetConfig& c : kEfficientNets)
    models.push_back({c.name,
                      1000,
                      {.resize = c.resize, .crop = c.crop, .interpolation = io::Interpolation::bicubic},
                      [&c](int64_t classes) { return make_efficientnet(c, classes); }});
  for (const EfficientNetConfig& c : kLites)  // trained on (x − 127) / 128
    models.push_back({c.name,
                      1000,
                      {.resize = c.resize,
                       .crop = c.crop,
                       .mean = {127 / 255.0f, 127 / 255.0f, 127 / 255.0f},
                       .std = {128 / 255.0f, 128 / 255.0f, 128 / 255.0f},
                       .interpolation = io::Interpolation::bicubic},
                      [&c](int64_t classes) { return make_lite(c, classes); }});
  return models;
}

}  // namespace graft::models
