#include "graft/model.h"

#include "core/error.h"
#include "graft/model_state.h"
#include "graft/open_device.h"
#include "io/torch/torch_file.h"

namespace graft {

Model::Model(std::unique_ptr<State> state) : state_(std::move(state)) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

Model Model::load(const std::filesystem::path& file, const DeviceOptions& device) {
  auto state = std::unique_ptr<State>(new State(open_device(device), train::ModelFile(file)));
  for (const models::Parameter& p : models::parameters_of(state->file.graph()))
    if (!p.is_buffer) state->parameters += p.shape.numel();
  return Model(std::move(state));
}

const std::string& Model::architecture() const { return state_->file.graph().name; }
const std::vector<std::string>& Model::classes() const { return state_->file.info().classes; }
int64_t Model::parameters() const { return state_->parameters; }
int Model::input_size() const { return state_->file.info().preprocessing.crop; }

std::vector<std::string> Model::layers() const {
  std::vector<std::string> names;
  for (const models::Node& node : state_->file.graph().nodes) names.push_back(node.name);
  return names;
}

LayerValues Model::forward(std::span<const float> images, int64_t n, const std::string& layer, int64_t height,
                           int64_t width) const {
  GRAFT_CHECK(n >= 1, "forward needs one image or more, not {}", n);
  const auto predictor = state_->predictor({layer, n, height, width});
  const int64_t expected = predictor->input_shape().numel();
  GRAFT_CHECK(static_cast<int64_t>(images.size()) == expected, "images of shape {} are {} values, {} were given",
              predictor->input_shape(), expected, images.size());
  const Shape shape = predictor->output_shape(0, n);
  return {{shape.extents, shape.extents + shape.rank}, std::move(predictor->run(images.data(), n)[0])};
}

std::shared_ptr<const train::Predictor> Model::State::find(const PlanKey& key) {
  const std::lock_guard lock(mutex_);
  for (auto plan = plans_.begin(); plan != plans_.end(); ++plan)
    if (plan->key == key) {
      plans_.splice(plans_.begin(), plans_, plan);
      return plan->predictor;
    }
  return nullptr;
}

std::shared_ptr<const train::Predictor> Model::State::find_sibling(const PlanKey& key) {
  const std::lock_guard lock(mutex_);
  for (const Plan& plan : plans_)
    if (plan.key.layer == key.layer) return plan.predictor;
  return nullptr;
}

std::shared_ptr<const train::Predictor> Model::State::predictor(const PlanKey& key) {
  if (auto found = find(key)) return found;
  const std::lock_guard one_at_a_time(making_);
  if (auto found = find(key)) return found;  // another thread wanted the same
  train::PredictorOptions options{.batch = key.n, .height = key.height, .width = key.width};
  if (!key.layer.empty()) options.layers = {key.layer};
  auto made = std::make_shared<const train::Predictor>(file, device, options, find_sibling(key).get());
  const std::lock_guard lock(mutex_);
  plans_.push_front({key, made});
  if (plans_.size() > kPlansKept) plans_.pop_back();
  return made;
}

std::string convert(const std::filesystem::path& weights, const std::filesystem::path& target,
                    const std::string& architecture, const std::vector<std::string>& classes) {
  return train::convert(*io::open_torch_file(weights), weights.string(), architecture, classes, target).graph.name;
}

}  // namespace graft
