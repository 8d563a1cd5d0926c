// The public face, used as a program that embeds it would.
#include <png.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <thread>

#include "graft/graft.h"
#include "io/hdf5/graft_file_writer.h"
#include "tests/support/devices.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/tiny_graph.h"
#include "train/initialise.h"
#include "train/model_file.h"

using namespace graft;
using Catch::Matchers::Contains;

namespace {

// A model file with drawn weights: 16 x 16 pixels, three classes.
std::filesystem::path write_tiny_model(const test::TemporaryFolder& folder) {
  models::Network network(test::tiny_graph(3), test::reference_device());
  train::initialise(network, 1, [](const models::Parameter&) { return true; });
  train::ModelInfo info{.graph = network.graph(), .classes = {"circle", "square", "triangle"}};
  info.preprocessing.resize = info.preprocessing.crop = 16;
  const auto path = folder / "tiny.h5";
  io::GraftFileWriter writer(path);
  train::write_model(writer, info, [&](const std::string& name, int64_t first, int64_t count, float* out) {
    const auto values = network.get(name);
    std::copy_n(values.begin() + first, count, out);
  });
  writer.commit();
  return path;
}

std::vector<uint8_t> picture(int seed, int width, int height) {
  std::vector<uint8_t> rgb(static_cast<size_t>(width * height * 3));
  for (size_t i = 0; i < rgb.size(); ++i)
    rgb[i] =
        static_cast<uint8_t>((seed == 0 ? 180 : 60) + static_cast<int>(i * 31 + static_cast<size_t>(seed) * 17) % 40);
  return rgb;
}

void write_png(const std::filesystem::path& path, const std::vector<uint8_t>& rgb, int width, int height) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_RGB;
  REQUIRE(png_image_write_to_file(&image, path.c_str(), 0, rgb.data(), 0, nullptr));
}

// Bright and dark pictures, ten of each.
std::filesystem::path write_photos(const test::TemporaryFolder& folder) {
  const auto root = folder / "photos";
  for (int label : {0, 1}) {
    const auto class_folder = root / (label == 0 ? "bright" : "dark");
    std::filesystem::create_directories(class_folder);
    for (int i = 0; i < 10; ++i)
      write_png(class_folder / (std::to_string(i) + ".png"), picture(label, 20 + i, 18), 20 + i, 18);
  }
  return root;
}

}  // namespace

TEST_CASE("a model tells about itself and computes layers") {
  const test::TemporaryFolder folder;
  const Model model = Model::load(write_tiny_model(folder), {.name = "reference"});
  CHECK(model.architecture() == "tiny");
  CHECK(model.classes() == std::vector<std::string>{"circle", "square", "triangle"});
  CHECK(model.input_size() == 16);
  CHECK(model.parameters() == 8 * 3 * 9 + 16 + 8 * 8 * 9 + 16 + 8 * 3 + 3);
  const std::vector<float> images(2 * 16 * 16 * 3, 0.5f);
  CHECK(model.forward(images, 2).shape == std::vector<int64_t>{2, 3});
  CHECK(model.forward(images, 2, "conv1").shape == std::vector<int64_t>{2, 8, 8, 8});
  CHECK_THROWS_WITH(model.forward(images, 2, "conv9"), Contains("conv9"));
  CHECK_THROWS_WITH(model.forward(images, 3), Contains("were given"));
}

TEST_CASE("both devices and many threads give the same answer") {
  const test::TemporaryFolder folder;
  const auto path = write_tiny_model(folder);
  const auto rgb = picture(1, 31, 23);
  const auto expected = Classifier::load(path, {.name = "reference"}).predict(rgb.data(), 31, 23, 3);
  REQUIRE(expected.size() == 3);
  const auto classifier = Classifier::load(path, {.threads = 2});
  std::vector<std::vector<Prediction>> answers(4);
  std::vector<std::thread> threads;
  for (auto& answer : answers) threads.emplace_back([&] { answer = classifier.predict(rgb.data(), 31, 23, 3); });
  for (auto& t : threads) t.join();
  for (const auto& answer : answers)
    for (size_t i = 0; i < 3; ++i) {
      CHECK(answer[i].name == expected[i].name);
      CHECK(answer[i].probability == Approx(expected[i].probability).epsilon(1e-4));
      CHECK(answer[i].probability == answers[0][i].probability);
    }
}

TEST_CASE("weights are packed once, whatever the batch") {
  const test::TemporaryFolder folder;
  const auto path = write_tiny_model(folder);
  const Model model = Model::load(path);
  const std::vector<float> images(7 * 16 * 16 * 3, 0.5f);
  const auto two = model.forward(std::span(images).first(2 * 16 * 16 * 3), 2);
  std::filesystem::resize_file(path, 100);  // nothing can be read any more
  const auto seven = model.forward(images, 7);
  REQUIRE(seven.shape == std::vector<int64_t>{7, 3});
  for (size_t i = 0; i < 21; ++i) CHECK(seven.values[i] == Approx(two.values[i % 3]).epsilon(1e-5));
  CHECK(model.forward(std::span(images).first(2 * 16 * 16 * 3), 2).values == two.values);
  CHECK_THROWS_AS(model.forward(images, 7, "conv1"), Error);
}

TEST_CASE("a batch of photos gets the answers that each gets alone") {
  const test::TemporaryFolder folder;
  const auto classifier = Classifier::load(write_tiny_model(folder));
  std::vector<std::vector<uint8_t>> bytes;
  std::vector<Picture> pictures;
  std::vector<std::filesystem::path> files;
  for (int i = 0; i < 19; ++i) {  // more than are computed at once
    const int width = 17 + i, height = 40 - i;
    bytes.push_back(picture(i % 2, width, height));
    files.push_back(folder / (std::to_string(i) + ".png"));
    write_png(files.back(), bytes.back(), width, height);
  }
  for (int i = 0; i < 19; ++i) pictures.push_back({bytes[static_cast<size_t>(i)].data(), 17 + i, 40 - i});
  const auto of_bytes = classifier.predict(pictures, 2), of_files = classifier.predict(files, 2);
  REQUIRE(of_bytes.size() == 19);
  REQUIRE(of_files.size() == 19);
  for (size_t i = 0; i < 19; ++i) {
    const auto alone = classifier.predict(pictures[i].rgb, pictures[i].width, pictures[i].height, 2);
    REQUIRE(of_bytes[i].size() == 2);
    for (size_t k = 0; k < 2; ++k) {
      CHECK(of_bytes[i][k].index == alone[k].index);
      CHECK(of_bytes[i][k].name == alone[k].name);
      CHECK(of_bytes[i][k].probability == Approx(alone[k].probability).epsilon(1e-5));
      CHECK(of_files[i][k].probability == of_bytes[i][k].probability);
    }
  }
  CHECK(classifier.predict(std::span<const Picture>()).empty());
  pictures[18].rgb = nullptr;
  CHECK_THROWS_WITH(classifier.predict(pictures), Contains("nothing in it"));
}

TEST_CASE("a trainer takes the optimiser and the schedule it is told") {
  const test::TemporaryFolder folder;
  const auto model = write_tiny_model(folder), photos = write_photos(folder);
  const auto losses = [&](auto&& change) {
    TrainSettings settings;
    settings.epochs = 3;
    settings.batch = 4;
    settings.learning_rate = 0.01;
    settings.augment = false;
    change(settings);
    std::vector<double> result;
    for (const EpochReport& e : Trainer(model, photos, settings).run(folder / "out.h5").epochs)
      result.push_back(e.train_loss);
    return result;
  };
  const auto plain = losses([](TrainSettings&) {});
  CHECK(losses([](TrainSettings&) {}) == plain);
  CHECK(losses([](TrainSettings& s) { s.optimizer = Optimizer::sgd; }) != plain);
  CHECK(losses([](TrainSettings& s) { s.schedule = Schedule::constant; }) != plain);
  CHECK(losses([](TrainSettings& s) { s.warmup_steps = 5; }) != plain);
  CHECK(losses([](TrainSettings& s) { s.clip_norm = 0.01; }) != plain);
  CHECK(losses([](TrainSettings& s) { s.ema = 0.5; }) == plain);  // steps are the same, what is saved is not
  const auto cropped = losses([](TrainSettings& s) { s.augment = true; });
  CHECK(losses([](TrainSettings& s) { s.augment = true, s.min_crop = 0.9; }) != cropped);
  const auto sgd = [&](auto&& change) {
    return losses([&](TrainSettings& s) {
      s.optimizer = Optimizer::sgd;
      s.schedule = Schedule::step;
      change(s);
    });
  };
  const auto stepped = sgd([](TrainSettings&) {});
  CHECK(sgd([](TrainSettings& s) { s.step_epochs = 1; }) != stepped);
  CHECK(sgd([](TrainSettings& s) { s.momentum = 0; }) != stepped);
  CHECK(sgd([](TrainSettings& s) { s.nesterov = true; }) != stepped);
}

TEST_CASE("a trainer makes a classifier of its own classes, and stops when told to") {
  const test::TemporaryFolder folder;
  const auto model = write_tiny_model(folder), photos = write_photos(folder), output = folder / "light.h5";
  TrainSettings settings;
  settings.epochs = 12;
  settings.batch = 4;
  settings.train = {"*"};
  settings.learning_rate = 0.01;
  settings.augment = false;
  const TrainResult result = Trainer(model, photos, settings, {.threads = 2}).run(output);
  CHECK(result.finished);
  CHECK(result.epochs.size() == 12);
  CHECK(result.best_accuracy == 1);
  const auto classifier = Classifier::load(output);
  CHECK(classifier.predict(photos / "dark" / "3.png")[0].name == "dark");
  CHECK(classifier.predict(photos / "bright" / "7.png")[0].name == "bright");

  const TrainResult stopped =
      Trainer(model, photos, settings).run(folder / "other.h5", [](const EpochReport& e) { return e.epoch < 3; });
  CHECK_FALSE(stopped.finished);
  CHECK(stopped.epochs.size() == 3);
  settings.resume = true;
  const TrainResult resumed = Trainer(model, photos, settings).run(folder / "other.h5");
  CHECK(resumed.finished);
  REQUIRE(resumed.epochs.size() == 9);
  for (size_t i = 0; i < 9; ++i) {
    CHECK(resumed.epochs[i].train_loss == result.epochs[i + 3].train_loss);
    CHECK(resumed.epochs[i].validation_loss == result.epochs[i + 3].validation_loss);
  }
}

TEST_CASE("a checkpoint is written as often as the settings say") {
  const test::TemporaryFolder folder;
  const auto model = write_tiny_model(folder), photos = write_photos(folder);
  const auto checkpoint = folder / "out.last.h5", seen = folder / "seen.h5";
  const auto written_anew = [&](double seconds) {  // in the last epoch
    TrainSettings settings;
    settings.epochs = 3;
    settings.checkpoint_seconds = seconds;
    bool anew = false;
    Trainer(model, photos, settings).run(folder / "out.h5", [&](const EpochReport&) {
      anew = std::filesystem::exists(seen) && !std::filesystem::equivalent(seen, checkpoint);
      std::filesystem::remove(seen);
      if (std::filesystem::exists(checkpoint)) std::filesystem::create_hard_link(checkpoint, seen);
      return true;
    });
    return anew;
  };
  CHECK(written_anew(0));
  CHECK_FALSE(written_anew(1e6));
}

TEST_CASE("photos that cannot be read are told, once each, and not again when there is nothing left to do") {
  const test::TemporaryFolder folder;
  const auto model = write_tiny_model(folder), photos = write_photos(folder);
  std::ofstream(photos / "dark" / "note.txt") << "no photo";
  std::ofstream(photos / "dark" / "half.png") << "\x89PNG\r\n\x1a\n";
  TrainSettings settings;
  settings.epochs = 2;
  settings.train = {"*"};
  for (const bool resume : {false, true}) {
    settings.resume = resume;
    auto skipped = Trainer(model, photos, settings).run(folder / "out.h5").skipped;
    std::sort(skipped.begin(), skipped.end(), [](const auto& a, const auto& b) { return a.file < b.file; });
    REQUIRE(skipped.size() == 2);
    CHECK_THAT(skipped[0].file, Catch::Matchers::EndsWith("half.png"));
    CHECK_THAT(skipped[1].file, Catch::Matchers::EndsWith("note.txt"));
    for (const auto& s : skipped) CHECK_FALSE(s.reason.empty());
  }
}

TEST_CASE("a model is not replaced by what is made from it, whatever its name is spelt like") {
  const test::TemporaryFolder folder;
  const auto model = write_tiny_model(folder), photos = write_photos(folder);
  std::filesystem::create_symlink(model, folder / "link.h5");
  TrainSettings settings;
  settings.train = {"*"};
  for (const auto& output : {folder / "." / model.filename(), folder / "link.h5"})
    CHECK_THROWS_WITH(Trainer(model, photos, settings).run(output), Contains("would replace the model it starts from"));
  CHECK_FALSE(std::filesystem::exists(folder / "link.last.h5"));
}

TEST_CASE("errors are graft::Error and say what to do") {
  const test::TemporaryFolder folder;
  CHECK_THROWS_AS(Classifier::load(folder / "missing.h5"), Error);
  CHECK_THROWS_WITH(Model::load(write_tiny_model(folder), {.name = "abacus"}), Contains("abacus"));
  CHECK_THROWS_AS(Trainer(folder / "tiny.h5", folder / "nowhere"), Error);
  const auto photos = write_photos(folder);
  const auto refused = [&](const TrainSettings& settings) { return Trainer(folder / "tiny.h5", photos, settings); };
  CHECK_THROWS_WITH(refused({.min_crop = 0}), Contains("the smallest crop must be between 0.001 and 1, not 0"));
  CHECK_THROWS_WITH(refused({.checkpoint_seconds = -1}), Contains("checkpoint_seconds is -1"));
}
