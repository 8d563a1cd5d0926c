// The networks graft knows by name.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/image/preprocess.h"
#include "models/graph.h"

namespace graft::models {

struct Model {
  std::string name;
  int64_t classes = 1000;  // of the published weights
  io::Preprocessing preprocessing;
  std::function<Graph(int64_t classes)> make;
};

// In the order in which `graft models` lists them.
std::span<const Model> all_models();
std::vector<std::string> model_names();

// Throws Error with near names when there is no such model.
const Model& find_model(std::string_view name);

// classes 0: as many as the published weights have.
Graph make_model(std::string_view name, int64_t classes = 0);

// The same network with nothing left to chance in training: every dropout and stochastic depth at probability 0.
Graph without_chance(Graph graph);

// The families, each in a file of its own.
std::vector<Model> resnets();
std::vector<Model> cifar_resnets();
std::vector<Model> vggs();
std::vector<Model> efficientnets();

}  // namespace graft::models
