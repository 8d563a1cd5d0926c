#include "tests/tools/fixtures.h"

#include <png.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "contract/philox.h"
#include "models/network.h"
#include "tests/support/devices.h"
#include "tests/train/tiny_graph.h"
#include "train/initialise.h"

namespace graft::test {

namespace fs = std::filesystem;

void write_png(const fs::path& file, int side, Colour colour, uint32_t seed) {
  std::vector<uint8_t> pixels;
  for (uint32_t i = 0; i < static_cast<uint32_t>(side * side); ++i) {
    const auto noise = philox(seed, i, 0);
    for (size_t c = 0; c < 3; ++c)
      pixels.push_back(static_cast<uint8_t>(
          std::clamp(static_cast<int>(colour[c]) + static_cast<int>(noise.word[c] % 41) - 20, 0, 255)));
  }
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = image.height = static_cast<png_uint_32>(side);
  image.format = PNG_FORMAT_RGB;
  if (!png_image_write_to_file(&image, file.c_str(), 0, pixels.data(), 0, nullptr))
    throw std::runtime_error("cannot write " + file.string());
}

void make_squares(const fs::path& folder, int count, uint32_t seed) {
  const std::pair<const char*, Colour> classes[] = {
      {"blue", {40, 50, 200}}, {"green", {30, 180, 60}}, {"red", {210, 40, 50}}};
  for (const auto& [name, colour] : classes) {
    fs::create_directories(folder / name);
    for (int i = 0; i < count; ++i)
      write_png(folder / name / (std::to_string(i) + ".png"), 32, colour, seed * 1000 + static_cast<uint32_t>(i));
  }
}

void write_tiny_model(const fs::path& file, const std::vector<std::string>& classes, uint64_t seed,
                      const std::function<void(train::ModelInfo&)>& edit) {
  train::ModelInfo info;
  info.graph = tiny_graph(static_cast<int64_t>(classes.size()));
  info.classes = classes;
  info.preprocessing.resize = info.preprocessing.crop = 16;
  if (edit) edit(info);
  models::Network network(info.graph, reference_device());
  train::initialise(network, seed, [](const models::Parameter&) { return true; });
  io::GraftFileWriter writer(file);
  train::write_model(writer, info, [&](const std::string& tensor, int64_t first, int64_t count, float* out) {
    const auto values = network.get(tensor);
    std::copy_n(values.begin() + first, count, out);
  });
  writer.commit();
}

void write_text(const fs::path& file, const std::string& text) { std::ofstream(file, std::ios::binary) << text; }

}  // namespace graft::test
