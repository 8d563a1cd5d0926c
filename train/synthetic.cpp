#include "train/synthetic.h"

#include "train/initialise.h"

namespace graft::train {

namespace {

// Between -1 and 1, no two neighbours alike.
std::vector<float> made_up_images(const Shape& shape) {
  std::vector<float> images(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < images.size(); ++i) images[i] = static_cast<float>(i * 2654435761u % 1021) / 510.5f - 1;
  return images;
}

models::Network drawn_network(const models::Graph& graph, const std::shared_ptr<Device>& device) {
  models::Network network(graph, device);
  initialise(network, 0, [](const models::Parameter&) { return true; });
  return network;
}

TrainConfig sgd(int64_t batch) {
  TrainConfig config;
  config.batch = batch;
  config.optimizer = OptimizerKind::sgd;
  config.momentum = 0.9;
  return config;
}

FlatParameters trained_part(models::Network& network, const models::FreezePlan& freeze) {
  network.require_gradients(freeze);
  return FlatParameters(network);
}

}  // namespace

SyntheticTraining::SyntheticTraining(models::Graph graph, const std::shared_ptr<Device>& device, int64_t batch,
                                     const models::FreezePatterns& patterns)
    : graph_(std::move(graph)),
      freeze_(models::plan_freeze(graph_, patterns)),
      config_(sgd(batch)),
      network_(drawn_network(graph_, device)),
      parameters_(trained_part(network_, freeze_)),
      optimizer_(config_, parameters_),
      state_(device, 1),
      rootstock_(graph_, freeze_, device, batch, graph_.input().height, graph_.input().width, network_.reader()),
      scion_(network_, freeze_, rootstock_, config_, optimizer_, state_) {
  rootstock_.run(made_up_images(rootstock_.image_shape()).data(), batch);
  for (int64_t i = 0; i < batch; ++i) labels_.push_back(i * 37 % models::classes_of(graph_));
}

double SyntheticTraining::step() {
  rootstock_.run();
  return scion_.step(labels_, 1e-3).loss;
}

int64_t SyntheticTraining::trained_parameters() const {
  int64_t count = 0;
  for (const TrainedParameter& p : parameters_.entries()) count += p.used().numel();
  return count;
}

SyntheticPrediction::SyntheticPrediction(const models::Graph& graph, const std::shared_ptr<Device>& device,
                                         int64_t batch) {
  const models::Network network = drawn_network(graph, device);
  piece_ = std::make_unique<models::CompiledPiece>(device,
                                                   models::make_plan(graph, {.taps = {graph.outputs[0].node},
                                                                             .inputs = {},
                                                                             .batch = batch,
                                                                             .height = graph.input().height,
                                                                             .width = graph.input().width,
                                                                             .compute = device->compute_type()}),
                                                   network.reader());
  images_ = empty(device, piece_->input_shape(0));
  images_.copy_from(made_up_images(images_.shape()).data());
  logits_ = empty(device, piece_->output_shape(0));
}

void SyntheticPrediction::run() const {
  const void* images = images_.view().data;
  void* logits = logits_.view().data;
  piece_->run({&images, 1}, {&logits, 1});
}

}  // namespace graft::train
