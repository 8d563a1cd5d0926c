// eps and momentum stand in no weights file: a network with the wrong ones loads, and is a little wrong.
#include <catch2/catch.hpp>

#include "models/registry.h"

using namespace graft::models;

TEST_CASE("batch norms have the eps and momentum of their papers' code") {
  int networks = 0;
  for (const Model& model : all_models()) {
    CAPTURE(model.name);
    // TensorFlow's, in its ports and in the networks torchvision took from it; PyTorch's defaults elsewhere.
    const std::string name = model.name;
    const bool tensorflow = name.starts_with("efficientnet_lite") || name == "efficientnet_b5" ||
                            name == "efficientnet_b6" || name == "efficientnet_b7";
    const Graph graph = make_model(name);
    int norms = 0;
    for (const Node& node : graph.nodes)
      if (const auto* norm = std::get_if<BatchNorm>(&node.op)) {
        ++norms;
        CHECK(norm->eps == (tensorflow ? 1e-3 : 1e-5));
        CHECK(norm->momentum == (tensorflow ? 0.01 : 0.1));
      }
    CHECK((norms > 0) == !(name.starts_with("vgg") && !name.ends_with("_bn")));
    networks += norms > 0;
  }
  CHECK(networks > 20);
}
