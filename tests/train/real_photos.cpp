// Real weights, real photos, from a PyTorch file to probabilities, on the reference alone.
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "io/image/image.h"
#include "io/torch/torch_file.h"
#include "tests/support/devices.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_data.h"
#include "train/metrics.h"
#include "train/predictor.h"

using namespace graft;
using namespace graft::train;

TEST_CASE("the reference names the cat and the cup as PyTorch does") {
  const auto weights = test::need_data("efficientnet_lite0/efficientnet-lite0-57934424.pth");
  if (weights.empty()) return;
  const test::TemporaryFolder folder;
  convert(*io::open_torch_file(weights), weights.string(), "", {}, folder / "lite0.h5");
  const ModelFile model(folder / "lite0.h5");
  const Predictor predictor(model, test::reference_device());

  std::ifstream in(std::string(GRAFT_SOURCE_DIR) + "/tests/expectations/real/efficientnet_lite0.json");
  const auto expected = nlohmann::json::parse(in);
  for (const char* photo : {"chelsea.png", "coffee.png"}) {
    const auto& top = expected.at(photo);
    REQUIRE(top.size() >= 5);
    INFO(photo);
    const io::Image image = io::read_image(test::test_data() / "photos" / photo);
    std::vector<float> pixels(static_cast<size_t>(predictor.input_shape().numel()));
    io::preprocess(image, model.info().preprocessing, pixels.data());
    const auto p = softmax(predictor.logits(pixels.data(), 1));
    for (const auto& e : top)
      CHECK(p[e.at("index").get<size_t>()] == Approx(e.at("probability").get<double>()).margin(0.005));
    const std::vector<float> as_float(p.begin(), p.end());
    CHECK(top_k(as_float, 1)[0] == top[0].at("index").get<int64_t>());
  }
}
