#include "train/setup.h"

#include <tuple>

#include "core/error.h"
#include "io/xxh3.h"
#include "models/freeze.h"
#include "models/graph_json.h"
#include "train/trainer.h"

namespace graft::train {

namespace {

bool in_head(const models::Graph& graph, const std::string& parameter) {
  return !graph.head.empty() && parameter.starts_with(graph.head + ".");
}

// The photos of both halves, and what names them in the configuration.
void divide_photos(const RunRequest& request, RunSetup& setup) {
  io::DatasetFolder folder = io::open_dataset(request.photos);
  const std::string name = request.photos.string();
  GRAFT_CHECK(
      folder.train.classes.size() >= 2,
      "{}: one class, {}: there is nothing to tell apart; give a folder of photos for each of two classes or more",
      name, folder.train.classes[0]);
  TrainConfig& config = setup.config;
  config.classes = folder.train.classes;
  config.dataset = io::content_hash(folder.train);
  config.given_split = folder.validation.has_value();
  if (folder.validation) {
    config.dataset += io::content_hash(*folder.validation);
    setup.train = std::move(folder.train);
    setup.validation = std::move(*folder.validation);
    return;
  }
  std::tie(setup.train, setup.validation) = io::split_stratified(folder.train, config.validation_fraction, config.seed);
  GRAFT_CHECK(!setup.validation.samples.empty(),
              "{}: no class has two photos, so none can be kept for validation; add photos, or a folder val", name);
}

ModelInfo model_from_scratch(const std::string& name, std::vector<std::string> classes) {
  const models::Model& model = models::find_model(name);
  ModelInfo info;
  info.graph = model.make(static_cast<int64_t>(classes.size()));
  info.classes = std::move(classes);
  info.preprocessing = model.preprocessing;
  if (info.preprocessing.resize == 0) info.preprocessing.resize = info.preprocessing.crop;  // photos of any size
  info.source = "trained from scratch";
  return info;
}

// What the run starts from: the network as it will be trained, what a photo goes through, and all weights but those of
// a head that is drawn anew.
std::string hash_of_start(const ModelFile& from, const ModelInfo& model, bool new_head) {
  std::vector<std::string> names;
  for (const models::Parameter& p : models::parameters_of(from.graph()))
    if (!new_head || !in_head(from.graph(), p.name)) names.push_back(p.name);
  const std::string all = from.hash_of(names) + models::to_json(model.graph) + to_json(model.preprocessing);
  return fmt::format("{:016x}", io::xxh3(all));
}

bool only_the_head_trains(const models::Graph& graph, const TrainConfig& config) {
  const models::FreezePlan freeze = models::plan_freeze(graph, {config.freeze, config.train});
  const auto parameters = models::parameters_of(graph);
  for (size_t i = 0; i < parameters.size(); ++i)
    if (freeze.trainable[i] && !in_head(graph, parameters[i].name)) return false;
  return true;
}

}  // namespace

double default_learning_rate(OptimizerKind optimizer, bool from_scratch, bool head_alone) {
  const bool adamw = optimizer == OptimizerKind::adamw;
  if (from_scratch) return adamw ? 1e-3 : 5e-2;
  if (head_alone) return adamw ? 3e-3 : 3e-2;
  return adamw ? 1e-4 : 1e-3;
}

RunSetup set_up(const RunRequest& request) {
  GRAFT_CHECK(request.from.empty() != request.scratch.empty(),
              "say where to begin: a model file (--from), or the name of a network (--scratch)");
  RunSetup setup;
  setup.config = request.config;
  TrainConfig& config = setup.config;
  divide_photos(request, setup);

  if (request.from.empty()) {
    setup.model = model_from_scratch(request.scratch, config.classes);
  } else {
    setup.from = std::make_shared<const ModelFile>(request.from);
    setup.model = for_classes(setup.from->info(), config.classes);
    config.trunk = hash_of_start(*setup.from, setup.model, needs_new_head(setup.from->info(), config.classes));
    if (config.freeze.empty() && config.train.empty()) {
      GRAFT_CHECK(!setup.model.graph.head.empty(), "{} has no classifying layer: say what trains with --train",
                  setup.model.graph.name);
      config.train = {setup.model.graph.head};
    }
  }
  config.model = setup.model.graph.name;
  config.learning_rate = request.learning_rate.value_or(
      default_learning_rate(config.optimizer, request.from.empty(), only_the_head_trains(setup.model.graph, config)));
  check(config);
  return setup;
}

}  // namespace graft::train
