// Real weights and photos: the program gives the answers that PyTorch gives.
#include <catch2/catch.hpp>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/temporary_folder.h"
#include "tests/support/test_data.h"
#include "tests/tools/program.h"

using namespace graft::test;
using Catch::Matchers::Contains;
using Json = nlohmann::json;

namespace {

Json expected(const std::string& name) {
  return Json::parse(read_file(std::string(GRAFT_SOURCE_DIR "/tests/expectations/real/") + name));
}

std::filesystem::path lite0_weights() { return need_data("efficientnet_lite0/efficientnet-lite0-57934424.pth"); }

void convert(const std::filesystem::path& weights, const std::string& model) {
  const auto run = run_graft({"convert", weights.string(), "-o", model, "--quiet"});
  INFO(run.err);
  REQUIRE(run.code == 0);
}

// PyTorch's wrong answers are graft's wrong answers; a photo that differs is named.
void check_cifar(const std::string& weights_file, const std::string& name, int wrong) {
  const auto weights = need_data("resnet_cifar10/" + weights_file), images = need_data("cifar10_test1000");
  if (weights.empty() || images.empty()) return;
  const TemporaryFolder folder;
  const std::string model = (folder / "model.h5").string();
  convert(weights, model);
  const auto run = run_graft({"evaluate", model, images.string(), "--json"});
  REQUIRE(run.code == 0);
  const auto json = Json::parse(run.out);
  CHECK(json["images"] == 1000);
  CHECK(std::lround((1 - json["top1"].get<double>()) * 1000) == wrong);

  const Json torch = expected(name + ".json");
  CHECK(torch["wrong"] == wrong);
  std::istringstream lines(run_graft({"predict", model, images.string(), "--top", "1", "--json"}).out);
  std::map<std::string, size_t> place;  // in its folder
  for (std::string line; std::getline(lines, line);) {
    const auto photo = Json::parse(line);
    const auto file = std::filesystem::path(photo["file"].get<std::string>());
    const std::string truth = file.parent_path().filename();
    const char said = static_cast<char>('0' + photo["top"][0]["index"].get<int>());
    const char there = torch["predicted"][truth].get<std::string>().at(place[truth]++);
    INFO(file);
    CHECK(said == there);
  }
}

double trained_accuracy(const std::string& model, const std::filesystem::path& photos, const TemporaryFolder& folder,
                        int seed) {
  const auto run = run_graft({"train", photos.string(), "--from", model, "-o", "ants.h5", "--overwrite", "--seed",
                              std::to_string(seed), "--epochs", "5", "--json"},
                             {.folder = folder.path(), .patience = std::chrono::seconds(600)});
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK_THAT(run.err, Contains("imageNotFound.gif: a GIF image"));
  std::istringstream lines(run.out);
  Json last;
  for (std::string line; std::getline(lines, line);) last = Json::parse(line);
  CHECK(last["skipped"] == 1);
  return last["best_validation_accuracy"];
}

}  // namespace

TEST_CASE("ResNet-20 has 85 of 1,000 CIFAR images wrong, as in PyTorch") {
  check_cifar("resnet20-12fca82f.th", "resnet20", 85);
}
TEST_CASE("ResNet-32 has 72 of 1,000 CIFAR images wrong, as in PyTorch") {
  check_cifar("resnet32-d509ac18.th", "resnet32", 72);
}

TEST_CASE("EfficientNet-Lite0 names the cat and the coffee, with PyTorch's probabilities") {
  const auto weights = lite0_weights(), photos = need_data("photos");
  if (weights.empty() || photos.empty()) return;
  const TemporaryFolder folder;
  const std::string model = (folder / "lite0.h5").string();
  convert(weights, model);
  const std::map<std::string, std::vector<std::pair<std::string, double>>> figures = {
      {"chelsea.png", {{"tiger cat", .395}, {"Egyptian cat", .355}, {"tabby", .170}, {"lynx", .014}}},
      {"coffee.png", {{"espresso", .951}}}};
  const Json torch = expected("efficientnet_lite0.json");
  for (const auto& [photo, answers] : figures) {
    const auto run = run_graft({"predict", model, (photos / photo).string(), "--top", "5", "--json"});
    REQUIRE(run.code == 0);
    const auto top = Json::parse(run.out)["top"];
    for (size_t i = 0; i < answers.size(); ++i) {
      CHECK(top[i]["class"] == answers[i].first);
      CHECK(top[i]["probability"].get<double>() == Approx(answers[i].second).margin(.005));
    }
    for (size_t i = 0; i < 5; ++i) {
      CHECK(top[i]["index"] == torch[photo][i]["index"]);
      CHECK(top[i]["probability"].get<double>() == Approx(torch[photo][i]["probability"].get<double>()).margin(.005));
    }
  }
}

TEST_CASE("one prediction of EfficientNet-Lite0 takes less than 150 MB") {
  const auto weights = lite0_weights(), photo = need_data("photos/chelsea.png");
  if (weights.empty() || photo.empty()) return;
  const TemporaryFolder folder;
  const std::string model = (folder / "lite0.h5").string();
  convert(weights, model);
  const auto run = run_graft({"predict", model, photo.string()});
  REQUIRE(run.code == 0);
#ifndef __SANITIZE_ADDRESS__
  CHECK(run.peak_bytes < 150'000'000);
#endif
  std::cout << "one prediction: " << run.peak_bytes / 1'000'000 << " MB, " << run.seconds << " s\n";
}

TEST_CASE("frozen EfficientNet-Lite0 with a new head: ants from bees, .935 or more, the mean of three seeds") {
  const auto weights = lite0_weights(), photos = need_data("hymenoptera");
  if (weights.empty() || photos.empty()) return;
  const TemporaryFolder folder;
  convert(weights, (folder / "lite0.h5").string());
  double sum = 0;
  for (int seed : {1, 2, 3}) sum += trained_accuracy((folder / "lite0.h5").string(), photos, folder, seed);
  CHECK(sum / 3 >= .935);
}
