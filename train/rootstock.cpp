#include "train/rootstock.h"

namespace graft::train {

Rootstock::Rootstock(const models::Graph& graph, const models::FreezePlan& freeze,
                     const std::shared_ptr<Device>& device, int64_t batch, int64_t height, int64_t width,
                     const models::ReadWeights& read)
    : taps_(freeze.taps) {
  const MemoryScope scope("images and values at the graft line");
  images_ = full(device, {batch, height, width, graph.input().channels}, 0);
  const bool only_the_image = taps_ == std::vector<models::NodeId>{0};
  if (only_the_image) {
    tap_values_ = {images_};
    return;
  }
  models::PieceRequest request{
      .taps = taps_, .inputs = {}, .batch = batch, .height = height, .width = width, .compute = device->compute_type()};
  models::CompiledPiece piece(device, models::make_plan(graph, request), read);
  for (size_t i = 0; i < taps_.size(); ++i) tap_values_.push_back(full(device, piece.output_shape(i), 0));
  piece_.emplace(std::move(piece), std::vector<Tensor>{images_}, tap_values_, "frozen part");
}

void Rootstock::run(const float* images, int64_t n) {
  images_.rows(0, n).copy_from(images);
  run();
}

void Rootstock::run() {
  if (piece_) piece_->run();
}

std::map<models::NodeId, Tensor> Rootstock::values(int64_t n) const {
  std::map<models::NodeId, Tensor> values;
  for (size_t i = 0; i < taps_.size(); ++i) values[taps_[i]] = tap_values_[i].rows(0, n);
  return values;
}

}  // namespace graft::train
