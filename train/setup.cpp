#include "train/setup.h"

#include "core/error.h"
#include "models/freeze.h"
#include "train/trainer.h"

namespace graft::train {

namespace {

ModelInfo model_from_scratch(const std::string& name, std::vector<std::string> classes) {
  ModelInfo model;
  model.graph = models::make_model(name, static_cast<int64_t>(classes.size()));
  model.preprocessing = to_io(models::find_model(name).preprocessing);
  model.classes = std::move(classes);
  return model;
}

std::vector<std::string> all_tensors(const models::Graph& graph) {
  std::vector<std::string> names;
  for (const models::Parameter& p : models::parameters_of(graph)) names.push_back(p.name);
  return names;
}

// Is the head all that trains?
bool only_the_head(const models::Graph& graph, const models::FreezePlan& freeze) {
  const auto parameters = models::parameters_of(graph);
  for (size_t i = 0; i < parameters.size(); ++i)
    if (freeze.trainable[i] && (graph.head.empty() || !parameters[i].name.starts_with(graph.head + "."))) return false;
  return true;
}

}  // namespace

RunSetup set_up(const RunRequest& request) {
  GRAFT_CHECK(request.from.empty() != request.scratch.empty(),
              "say where to begin: a model file (--from), or the name of a network (--scratch)");
  RunSetup setup;
  setup.config = request.config;
  TrainConfig& config = setup.config;

  io::DatasetFolder folder = io::open_dataset(request.photos);
  config.dataset = io::content_hash(folder.train);
  config.exact_split = folder.validation.has_value();
  if (folder.validation) {
    config.dataset += io::content_hash(*folder.validation);
    setup.train = std::move(folder.train);
    setup.validation = std::move(*folder.validation);
  } else {
    std::tie(setup.train, setup.validation) =
        io::split_stratified(folder.train, config.validation_fraction, config.seed);
  }
  config.classes = setup.train.classes;
  GRAFT_CHECK(config.classes.size() >= 2, "{}: a classifier needs two class folders or more, there is {}",
              request.photos.string(), config.classes.size());

  if (request.from.empty()) {
    setup.model = model_from_scratch(request.scratch, config.classes);
  } else {
    auto file = std::make_shared<const ModelFile>(request.from);
    setup.new_head = needs_new_head(file->info(), config.classes);
    setup.model = for_classes(file->info(), config.classes);
    config.trunk = file->hash_of(all_tensors(file->graph()));
    setup.from = std::move(file);
    if (config.freeze.empty() && config.train.empty()) {
      GRAFT_CHECK(!setup.model.graph.head.empty(), "{} has no classifying layer: say what trains with --train",
                  setup.model.graph.name);
      config.train = {setup.model.graph.head};
    }
  }
  config.model = setup.model.graph.name;

  const models::FreezePlan freeze = models::plan_freeze(setup.model.graph, {config.freeze, config.train});
  const bool careful = setup.from && !only_the_head(setup.model.graph, freeze);
  config.learning_rate = request.learning_rate.value_or(careful ? 1e-4 : 1e-3);
  check(config);
  return setup;
}

}  // namespace graft::train
