// VGG (Simonyan & Zisserman 2014, arXiv:1409.1556, table 1, columns A, B, D, E), names and initialisation of
// torchvision.
#include <fmt/format.h>

#include "models/builder.h"
#include "models/registry.h"

namespace graft::models {

namespace {

struct VggConfig {
  const char* name;
  int convs[5];  // in each stage, of 64, 128, 256, 512 and 512 channels
};

constexpr VggConfig kVggs[] = {
    {"vgg11", {1, 1, 2, 2, 2}},
    {"vgg13", {2, 2, 2, 2, 2}},
    {"vgg16", {2, 2, 3, 3, 3}},
    {"vgg19", {2, 2, 4, 4, 4}},
};
constexpr int64_t kChannels[] = {64, 128, 256, 512, 512};

std::string name_of(const VggConfig& config, bool batch_norm) {
  return std::string(config.name) + (batch_norm ? "_bn" : "");
}

// One counter over all layers, as in the Sequential the weights come from.
NodeId features(Builder& g, NodeId x, const VggConfig& config, bool batch_norm) {
  const auto scope = g.scope("features");
  int index = 0;
  const auto next = [&] { return std::to_string(index++); };
  for (int stage = 0; stage < 5; ++stage) {
    for (int i = 0; i < config.convs[stage]; ++i) {
      x = g.conv(next(), x, kChannels[stage], 3, {.bias = true});
      if (batch_norm) x = g.batch_norm(next(), x);
      x = g.relu(x, next());
    }
    x = g.max_pool(next(), x, 2, {.stride = 2});
  }
  return x;
}

NodeId classifier(Builder& g, NodeId x, int64_t classes) {
  const auto scope = g.scope("classifier");
  x = g.dropout(0.5, g.relu(g.linear("0", x, 4096), "1"), "2");
  x = g.dropout(0.5, g.relu(g.linear("3", x, 4096), "4"), "5");
  return g.linear("6", x, classes);
}

Graph make_vgg(const VggConfig& config, bool batch_norm, int64_t classes) {
  Builder g(name_of(config, batch_norm),
            {.conv = kaiming_normal_fan_out, .linear = normal_hundredth, .linear_bias = zeros});
  NodeId x = features(g, g.input(224, 224, 3), config, batch_norm);
  x = g.flatten(g.adaptive_avg_pool("avgpool", x, {7, 7}));
  g.output(classifier(g, x, classes));
  g.head("classifier.6");
  return g.finish();
}

}  // namespace

std::vector<Model> vggs() {
  std::vector<Model> models;
  for (bool batch_norm : {false, true})
    for (const VggConfig& config : kVggs)
      models.push_back({name_of(config, batch_norm), 1000, {}, [&config, batch_norm](int64_t classes) {
                          return make_vgg(config, batch_norm, classes);
                        }});
  return models;
}

}  // namespace graft::models
