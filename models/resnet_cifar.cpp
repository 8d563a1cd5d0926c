// ResNet for 32x32 images, depth 6n + 2 (He et al. 2015, §4.2), shortcuts without parameters (option A). Names and
// initialisation of the repository most weights come from, akamaster/pytorch_resnet_cifar10.
#include <fmt/format.h>

#include "models/builder.h"
#include "models/registry.h"

namespace graft::models {

namespace {

constexpr int kDepths[] = {20, 32, 44, 56, 110};

NodeId basic_block(Builder& g, NodeId x, int64_t channels, int32_t stride) {
  NodeId y = g.relu(g.batch_norm("bn1", g.conv("conv1", x, channels, 3, {.stride = stride})));
  y = g.batch_norm("bn2", g.conv("conv2", y, channels, 3));
  // half of the new channels in front, half behind
  const auto before = static_cast<int32_t>((channels - g.channels(x)) / 2);
  if (stride != 1 || before != 0) x = g.subsample_pad("shortcut", x, channels, stride, before);
  return g.relu(g.add(y, x));
}

Graph make_cifar_resnet(int depth, int64_t classes) {
  Builder g(fmt::format("resnet{}", depth), {.conv = kaiming_normal_fan_in, .linear = kaiming_normal_fan_in});
  NodeId x = g.relu(g.batch_norm("bn1", g.conv("conv1", g.input(32, 32, 3), 16, 3)));
  for (int stage : {0, 1, 2})
    for (int i = 0; i < (depth - 2) / 6; ++i) {
      const auto scope = g.scope(fmt::format("layer{}.{}", stage + 1, i));
      x = basic_block(g, x, int64_t{16} << stage, stage > 0 && i == 0 ? 2 : 1);
    }
  g.output(g.linear("linear", g.global_avg_pool(x), classes));
  g.head("linear");
  return g.finish();
}

}  // namespace

std::vector<Model> cifar_resnets() {
  const io::Preprocessing preprocessing{.resize = 0, .crop = 32};
  std::vector<Model> models;
  for (int depth : kDepths)
    models.push_back({fmt::format("resnet{}", depth), 10, preprocessing,
                      [depth](int64_t classes) { return make_cifar_resnet(depth, classes); }});
  return models;
}

}  // namespace graft::models
