// ResNet (He et al. 2015, arXiv:1512.03385), ResNeXt (Xie et al. 2017) and Wide ResNet (Zagoruyko & Komodakis 2016),
// with the stride in the 3x3 convolution and the names and initialisation of torchvision.
#include <fmt/format.h>

#include "models/builder.h"
#include "models/registry.h"

namespace graft::models {

namespace {

enum class Block { basic, bottleneck };

struct ResNetConfig {
  const char* name;
  Block block;
  int stages[4];
  int32_t groups;
  int64_t width;  // of one group, in the first stage

  int64_t expansion() const { return block == Block::basic ? 1 : 4; }
};

constexpr ResNetConfig kResNets[] = {
    // name              block              stages         groups width
    {"resnet18", Block::basic, {2, 2, 2, 2}, 1, 64},  // He et al., table 1
    {"resnet34", Block::basic, {3, 4, 6, 3}, 1, 64},
    {"resnet50", Block::bottleneck, {3, 4, 6, 3}, 1, 64},
    {"resnet101", Block::bottleneck, {3, 4, 23, 3}, 1, 64},
    {"resnet152", Block::bottleneck, {3, 8, 36, 3}, 1, 64},
    {"resnext50_32x4d", Block::bottleneck, {3, 4, 6, 3}, 32, 4},   // Xie et al., table 1
    {"wide_resnet50_2", Block::bottleneck, {3, 4, 6, 3}, 1, 128},  // Zagoruyko & Komodakis, table 8
};

// A 1x1 convolution where the block changes the size or the number of channels, else the input itself (option B).
NodeId shortcut(Builder& g, NodeId x, NodeId y, int32_t stride) {
  if (stride == 1 && g.channels(x) == g.channels(y)) return x;
  const auto scope = g.scope("downsample");
  return g.batch_norm("1", g.conv("0", x, g.channels(y), 1, {.stride = stride}));
}

NodeId basic_block(Builder& g, NodeId x, int64_t channels, int32_t stride) {
  NodeId y = g.relu(g.batch_norm("bn1", g.conv("conv1", x, channels, 3, {.stride = stride})));
  y = g.batch_norm("bn2", g.conv("conv2", y, channels, 3));
  return g.relu(g.add(y, shortcut(g, x, y, stride)));
}

NodeId bottleneck_block(Builder& g, NodeId x, int64_t channels, int32_t stride, const ResNetConfig& config) {
  const int64_t width = channels * config.width / 64 * config.groups;
  NodeId y = g.relu(g.batch_norm("bn1", g.conv("conv1", x, width, 1)));
  y = g.relu(g.batch_norm("bn2", g.conv("conv2", y, width, 3, {.stride = stride, .groups = config.groups})));
  y = g.batch_norm("bn3", g.conv("conv3", y, channels * config.expansion(), 1));
  return g.relu(g.add(y, shortcut(g, x, y, stride)));
}

NodeId residual_stage(Builder& g, int stage, NodeId x, const ResNetConfig& config) {
  const int64_t channels = int64_t{64} << stage;
  for (int i = 0; i < config.stages[stage]; ++i) {
    const auto scope = g.scope(fmt::format("layer{}.{}", stage + 1, i));
    const int32_t stride = stage > 0 && i == 0 ? 2 : 1;
    x = config.block == Block::basic ? basic_block(g, x, channels, stride)
                                     : bottleneck_block(g, x, channels, stride, config);
  }
  return x;
}

Graph make_resnet(const ResNetConfig& config, int64_t classes) {
  Builder g(config.name, {.conv = kaiming_normal_fan_out});
  NodeId x = g.conv("conv1", g.input(224, 224, 3), 64, 7, {.stride = 2});
  x = g.relu(g.batch_norm("bn1", x));
  x = g.max_pool("maxpool", x, 3, {.stride = 2, .pad = 1});
  for (int stage : {0, 1, 2, 3}) x = residual_stage(g, stage, x, config);
  g.output(g.linear("fc", g.global_avg_pool(x), classes));
  g.head("fc");
  return g.finish();
}

}  // namespace

std::vector<Model> resnets() {
  std::vector<Model> models;
  for (const ResNetConfig& config : kResNets)
    models.push_back({config.name, 1000, {}, [&config](int64_t classes) { return make_resnet(config, classes); }});
  return models;
}

}  // namespace graft::models
