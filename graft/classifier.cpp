#include "graft/classifier.h"

#include <algorithm>

#include "core/error.h"
#include "graft/model_state.h"
#include "io/image/image.h"
#include "io/image/preprocess.h"
#include "train/metrics.h"

namespace graft {

namespace {

constexpr size_t kBatch = 16;  // photos computed at a time: enough to keep every thread busy, and little memory

void preprocess(const train::ModelInfo& info, const Picture& photo, float* pixels) {
  GRAFT_CHECK(photo.rgb && photo.width > 0 && photo.height > 0, "a photo of {} x {} pixels has nothing in it",
              photo.width, photo.height);
  io::ImageView view;
  view.rgb = photo.rgb;
  view.width = photo.width;
  view.height = photo.height;
  view.row_bytes = static_cast<size_t>(photo.width) * 3;
  io::preprocess(view, info.preprocessing, pixels);
}

}  // namespace

Classifier Classifier::load(const std::filesystem::path& file, const DeviceOptions& device) {
  return Classifier(Model::load(file, device));
}

std::vector<std::vector<Prediction>> Classifier::predict(
    size_t count, int top, const std::function<void(size_t photo, float* pixels)>& load) const {
  std::vector<std::vector<Prediction>> answers;
  if (count == 0) return answers;
  const std::vector<std::string>& classes = model_.classes();
  const auto predictor = model_.state_->predictor({.n = static_cast<int64_t>(std::min(count, kBatch))});
  const Shape& batch = predictor->input_shape();
  const auto pixels_of_one = static_cast<size_t>(batch.count(1, batch.rank));
  std::vector<float> pixels(static_cast<size_t>(batch.numel()));
  for (size_t first = 0; first < count; first += kBatch) {
    const size_t n = std::min(count - first, kBatch);
    for (size_t i = 0; i < n; ++i) load(first + i, pixels.data() + i * pixels_of_one);
    const std::vector<float> logits = predictor->logits(pixels.data(), static_cast<int64_t>(n));
    for (size_t i = 0; i < n; ++i) {
      const auto of_one = std::span(logits).subspan(i * logits.size() / n, logits.size() / n);
      const std::vector<double> p = train::softmax(of_one);
      std::vector<Prediction>& answer = answers.emplace_back();
      for (const int64_t index : train::top_k(of_one, top)) {
        const auto at = static_cast<size_t>(index);
        answer.push_back({index, classes.empty() ? std::to_string(index) : classes[at], p[at]});
      }
    }
  }
  return answers;
}

std::vector<std::vector<Prediction>> Classifier::predict(std::span<const std::filesystem::path> photos, int top) const {
  return predict(photos.size(), top, [&](size_t i, float* pixels) {
    const io::Image image = io::read_image(photos[i]);
    preprocess(model_.state_->file.info(), {image.rgb.data(), image.width, image.height}, pixels);
  });
}

std::vector<std::vector<Prediction>> Classifier::predict(std::span<const Picture> photos, int top) const {
  return predict(photos.size(), top,
                 [&](size_t i, float* pixels) { preprocess(model_.state_->file.info(), photos[i], pixels); });
}

std::vector<Prediction> Classifier::predict(const std::filesystem::path& photo, int top) const {
  return std::move(predict({&photo, 1}, top)[0]);
}

std::vector<Prediction> Classifier::predict(const uint8_t* rgb, int width, int height, int top) const {
  const Picture photo{rgb, width, height};
  return std::move(predict({&photo, 1}, top)[0]);
}

}  // namespace graft
