#include "models/registry.h"

#include "core/error.h"
#include "models/near_names.h"

namespace graft::models {

std::span<const Model> all_models() {
  static const std::vector<Model> models = [] {
    std::vector<Model> all;
    for (auto* family : {resnets, cifar_resnets, vggs, efficientnets})
      for (Model& model : family()) all.push_back(std::move(model));
    return all;
  }();
  return models;
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const Model& model : all_models()) names.push_back(model.name);
  return names;
}

const Model& find_model(std::string_view name) {
  for (const Model& model : all_models())
    if (model.name == name) return model;
  const auto near = did_you_mean(name, model_names());
  fail("there is no network {}{}", name, near.empty() ? "; `graft models` lists them" : near);
}

Graph make_model(std::string_view name, int64_t classes) {
  const Model& model = find_model(name);
  GRAFT_CHECK(classes >= 0, "{}: {} classes; give at least 1", name, classes);
  return model.make(classes == 0 ? model.classes : classes);
}

Graph without_chance(Graph graph) {
  for (Node& node : graph.nodes) {
    if (auto* dropout = std::get_if<Dropout>(&node.op)) dropout->probability = 0;
    if (auto* depth = std::get_if<StochasticDepth>(&node.op)) depth->probability = 0;
  }
  return graph;
}

}  // namespace graft::models
