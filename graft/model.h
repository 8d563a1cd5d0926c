// A network and its weights, as a file holds them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graft/error.h"
#include "graft/options.h"

namespace graft {

// Numbers of one layer: row-major, images as [n, height, width, channels], rows as [n, features].
struct LayerValues {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

class Model {
 public:
  // Reads a graft file (`graft convert` makes one). Throws Error, which names the file, when it is missing, damaged or
  // no model.
  static Model load(const std::filesystem::path& file, const DeviceOptions& device = {});
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  const std::string& architecture() const;          // "efficientnet_lite0"
  const std::vector<std::string>& classes() const;  // by index; empty when the file names none
  int64_t parameters() const;
  int input_size() const;                   // side of the square the network was made for, in pixels
  std::vector<std::string> layers() const;  // names to ask `forward` for, in order

  // images: n · height · width · 3 floats, normalised as the network expects; height and width 0 mean input_size(). The
  // values of `layer`, or the logits. The plan for a layer, batch and size is made once and kept. Safe from many
  // threads.
  LayerValues forward(std::span<const float> images, int64_t n, const std::string& layer = {}, int64_t height = 0,
                      int64_t width = 0) const;

 private:
  friend class Classifier;
  struct State;
  explicit Model(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A PyTorch weights file as a graft file: nothing in it is executed. `architecture` empty: recognised by names and
// shapes. Returns the architecture. Throws Error with a table of what does not fit.
std::string convert(const std::filesystem::path& weights, const std::filesystem::path& target,
                    const std::string& architecture = {}, const std::vector<std::string>& classes = {});

}  // namespace graft
