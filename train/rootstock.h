// The rootstock: the frozen part of a network below the graft line, compiled once, its weights packed straight from the
// file.
#pragma once
#include <map>
#include <memory>
#include <optional>

#include "core/tensor.h"
#include "models/compile.h"
#include "models/freeze.h"

namespace graft::train {

class Rootstock {
 public:
  // For batches of up to `batch` images. When nothing but the image lies below the line, nothing is compiled.
  Rootstock(const models::Graph& graph, const models::FreezePlan& freeze, const std::shared_ptr<Device>& device,
            int64_t batch, int64_t height, int64_t width, const models::ReadWeights& read);

  // Computes the values on the line for n images, NHWC on the host. Rows beyond n keep what they had.
  void run(const float* images, int64_t n);
  // The same for what lies in images().
  void run();
  const Tensor& images() const { return images_; }

  // The values on the line, rows [0, n): always at the same addresses, as plans need.
  std::map<models::NodeId, Tensor> values(int64_t n) const;

  const Shape& image_shape() const { return images_.shape(); }  // [batch, height, width, channels]
  const models::CompileReport* report() const { return piece_ ? &piece_->piece().report() : nullptr; }

 private:
  Tensor images_;
  std::vector<models::NodeId> taps_;
  std::vector<Tensor> tap_values_;
  std::optional<models::BoundPiece> piece_;
};

}  // namespace graft::train
