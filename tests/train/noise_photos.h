// A data set from which nothing can be learned, and a small network to train on it.
#pragma once
#include <png.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "contract/philox.h"
#include "tests/support/devices.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/tiny_graph.h"
#include "train/trainer.h"

namespace graft::test {

// Photos of noise, `count` of each of two classes: nothing can be learned of them, so accuracy goes up and down.
inline io::Dataset write_noise(const std::filesystem::path& root, uint64_t seed, int count) {
  io::Dataset dataset{root, {"a", "b"}, {}, {}};
  std::filesystem::create_directories(root);
  for (int i = 0; i < 2 * count; ++i) {
    std::vector<uint8_t> rgb(16 * 16 * 3);
    for (size_t p = 0; p < rgb.size(); ++p)
      rgb[p] = static_cast<uint8_t>(philox(seed, p, static_cast<uint64_t>(i)).word[0]);
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = image.height = 16;
    image.format = PNG_FORMAT_RGB;
    const std::string file = std::to_string(i) + ".png";
    REQUIRE(png_image_write_to_file(&image, (root / file).c_str(), 0, rgb.data(), 0, nullptr));
    dataset.samples.push_back({file, i % 2});
  }
  return dataset;
}

struct NoisePhotos {
  TemporaryFolder folder;
  io::Dataset training = write_noise(folder / "train", 1, 6), validation = write_noise(folder / "validation", 2, 8);

  train::TrainOptions options(const std::string& output) const {
    train::ModelInfo model{.graph = tiny_graph(2), .classes = {"a", "b"}};
    model.preprocessing.resize = model.preprocessing.crop = 16;
    train::TrainConfig config{.model = "tiny", .classes = {"a", "b"}, .seed = 3, .epochs = 3, .batch = 4};
    config.learning_rate = 0.03;
    return {.device = reference_device(),
            .model = model,
            .train = &training,
            .validation = &validation,
            .config = config,
            .output = folder / output};
  }
};

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace graft::test
