// A whole network, compiled for prediction.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "models/compile.h"
#include "train/model_file.h"

namespace graft::train {

struct PredictorOptions {
  int64_t batch = 1;                // images an execution takes; fewer may be given, more may not
  int64_t height = 0, width = 0;    // 0: what the model's preprocessing makes
  std::vector<std::string> layers;  // whose values are wanted; empty: the answer (logits)
};

class Predictor {
 public:
  // Packs the weights straight from the file, which is not needed afterwards; or shares what `sibling`, of the same
  // file, has packed, where layers and backend allow it. Throws Error for a layer that does not exist.
  Predictor(const ModelFile& model, std::shared_ptr<Device> device, const PredictorOptions& options = {},
            const Predictor* sibling = nullptr);
  // The same for weights from elsewhere; height and width 0: the graph's own.
  Predictor(const models::Graph& graph, const models::ReadWeights& read, std::shared_ptr<Device> device,
            const PredictorOptions& options = {}, const Predictor* sibling = nullptr);

  // images [n, height, width, channels] on the host, n <= batch. One vector for each layer, [n, …] as output_shape
  // says. Any number of threads at once.
  std::vector<std::vector<float>> run(const float* images, int64_t n) const;
  std::vector<float> logits(const float* images, int64_t n) const { return std::move(run(images, n)[0]); }

  const Shape& input_shape() const { return input_shape_; }  // with the full batch
  Shape output_shape(size_t layer, int64_t n) const;         // [n, …]
  const models::CompileReport& report() const { return piece_->report(); }

 private:
  std::shared_ptr<Device> device_;
  std::unique_ptr<models::CompiledPiece> piece_;
  Shape input_shape_;
};

// The layer whose values a head turns into classes: what `graft features` writes unless told otherwise.
std::string feature_layer(const models::Graph& graph);

}  // namespace graft::train
