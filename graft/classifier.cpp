#include "graft/classifier.h"

#include "core/error.h"
#include "graft/model_state.h"
#include "io/image/image.h"
#include "io/image/preprocess.h"
#include "train/metrics.h"

namespace graft {

Classifier Classifier::load(const std::filesystem::path& file, const DeviceOptions& device) {
  return Classifier(Model::load(file, device));
}

std::vector<Prediction> Classifier::predict(const std::filesystem::path& photo, int top) const {
  const io::Image image = io::read_image(photo);
  return predict(image.rgb.data(), image.width, image.height, top);
}

std::vector<Prediction> Classifier::predict(const uint8_t* rgb, int width, int height, int top) const {
  GRAFT_CHECK(rgb && width > 0 && height > 0, "a photo of {} x {} pixels has nothing in it", width, height);
  const train::ModelInfo& info = model_.state_->file.info();
  io::ImageView view;
  view.rgb = rgb;
  view.width = width;
  view.height = height;
  view.row_bytes = static_cast<size_t>(width) * 3;
  const auto predictor = model_.state_->predictor("", 1, 0, 0);
  std::vector<float> pixels(static_cast<size_t>(predictor->input_shape().numel()));
  io::preprocess(view, info.preprocessing, pixels.data());
  const std::vector<float> logits = predictor->logits(pixels.data(), 1);
  const std::vector<double> p = train::softmax(logits);
  std::vector<Prediction> predictions;
  for (int64_t index : train::top_k(logits, top)) {
    const auto i = static_cast<size_t>(index);
    predictions.push_back({index, info.classes.empty() ? std::to_string(index) : info.classes[i], p[i]});
  }
  return predictions;
}

}  // namespace graft
