#include "train/predictor.h"

namespace graft::train {

namespace {

PredictorOptions with_size(PredictorOptions options, int side) {
  if (options.height == 0) options.height = side;
  if (options.width == 0) options.width = side;
  return options;
}

}  // namespace

Predictor::Predictor(const ModelFile& model, std::shared_ptr<Device> device, const PredictorOptions& options,
                     const Predictor* sibling)
    : Predictor(model.graph(), model.reader(), std::move(device), with_size(options, model.info().preprocessing.crop),
                sibling) {}

Predictor::Predictor(const models::Graph& graph, const models::ReadWeights& read, std::shared_ptr<Device> device,
                     const PredictorOptions& options, const Predictor* sibling)
    : device_(std::move(device)) {
  GRAFT_CHECK(options.batch >= 1, "a batch holds one image or more, not {}", options.batch);
  models::PieceRequest request{.taps = {},
                               .inputs = {},
                               .batch = options.batch,
                               .height = options.height,
                               .width = options.width,
                               .compute = device_->compute_type()};
  for (const std::string& layer : options.layers) request.taps.push_back(models::find_node(graph, layer));
  if (request.taps.empty()) request.taps = {graph.outputs[0].node};
  auto plan = models::make_plan(graph, request);
  piece_ = sibling ? std::make_unique<models::CompiledPiece>(*sibling->piece_, std::move(plan), read)
                   : std::make_unique<models::CompiledPiece>(device_, std::move(plan), read);
  input_shape_ = piece_->input_shape(0);
}

Shape Predictor::output_shape(size_t layer, int64_t n) const {
  Shape shape = piece_->output_shape(layer);
  shape[0] = n;
  return shape;
}

std::vector<std::vector<float>> Predictor::run(const float* images, int64_t n) const {
  GRAFT_CHECK(n >= 0 && n <= input_shape_[0], "{} images were given to a network compiled for {}", n, input_shape_[0]);
  // Rows beyond n are computed and thrown away; they hold numbers all the same.
  const Tensor input = n == input_shape_[0] ? empty(device_, input_shape_) : full(device_, input_shape_, 0);
  if (n > 0) input.rows(0, n).copy_from(images);

  std::vector<Tensor> outputs;
  std::vector<void*> addresses;
  const size_t count = piece_->plan().outputs.size();
  for (size_t i = 0; i < count; ++i) {
    outputs.push_back(empty(device_, piece_->output_shape(i)));
    addresses.push_back(outputs.back().view().data);
  }
  const void* address = input.view().data;
  piece_->run({&address, 1}, addresses);
  std::vector<std::vector<float>> values;
  for (const Tensor& t : outputs) values.push_back(t.rows(0, n).to_vector<float>());
  return values;
}

std::string feature_layer(const models::Graph& graph) {
  GRAFT_CHECK(!graph.head.empty(), "{} has no classifying layer; say which layer with --layer", graph.name);
  // What feeds the head, leaving out a dropout in between: in inference it does nothing.
  models::NodeId node = graph.node(models::find_node(graph, graph.head)).inputs[0];
  while (models::is_stochastic(graph.node(node).op)) node = graph.node(node).inputs[0];
  return graph.node(node).name;
}

}  // namespace graft::train
