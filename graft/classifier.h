// Names what is in a photo.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "graft/model.h"

namespace graft {

// RGB bytes [height, width, 3].
struct Picture {
  const uint8_t* rgb = nullptr;
  int width = 0, height = 0;
};

struct Prediction {
  int64_t index = 0;       // of the class
  std::string name;        // of the class; its number when the file has no names
  double probability = 0;  // softmax of the logits
};

class Classifier {
 public:
  static Classifier load(const std::filesystem::path& file, const DeviceOptions& device = {});

  // The `top` likeliest classes, likeliest first. A photo is a JPEG or PNG file, or RGB bytes [height, width, 3]; it is
  // resized and cropped as the model wants it. Throws Error for a photo that cannot be read. Const: any number of
  // threads at once.
  std::vector<Prediction> predict(const std::filesystem::path& photo, int top = 5) const;
  std::vector<Prediction> predict(const uint8_t* rgb, int width, int height, int top = 5) const;

  // The same for many, computed several at a time: an answer for each, in their order. One that cannot be read is an
  // Error for all.
  std::vector<std::vector<Prediction>> predict(std::span<const std::filesystem::path> photos, int top = 5) const;
  std::vector<std::vector<Prediction>> predict(std::span<const Picture> photos, int top = 5) const;

  const Model& model() const { return model_; }

 private:
  std::vector<std::vector<Prediction>> predict(size_t count, int top,
                                               const std::function<void(size_t photo, float* pixels)>& load) const;

  explicit Classifier(Model model) : model_(std::move(model)) {}
  Model model_;
};

}  // namespace graft
