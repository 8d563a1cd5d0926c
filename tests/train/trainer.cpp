#include "train/trainer.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/train/noise_photos.h"

using namespace graft;
using namespace graft::train;
using graft::test::bytes_of;
using graft::test::NoisePhotos;

TEST_CASE("the best epoch is the one with the best accuracy") {
  const NoisePhotos photos;
  TrainOptions options = photos.options("best.h5");
  options.config.epochs = 8;
  const TrainOutcome outcome = Trainer(options).run({});
  REQUIRE(outcome.history.size() == 8);
  const auto worse = [](const EpochRecord& a, const EpochRecord& b) {
    return std::pair(a.validation_accuracy, -a.validation_loss) < std::pair(b.validation_accuracy, -b.validation_loss);
  };
  const auto best = std::max_element(outcome.history.begin(), outcome.history.end(), worse);
  REQUIRE(std::min_element(outcome.history.begin(), outcome.history.end(), worse)->validation_accuracy <
          best->validation_accuracy);
  CHECK(outcome.best_epoch == best->epoch);
}

TEST_CASE("the trainer decays weights alone") {
  const NoisePhotos photos;
  const auto after_one_step = [&](double decay) {
    TrainOptions options = photos.options(decay > 0 ? "decayed.h5" : "plain.h5");
    options.config.epochs = 1;
    options.config.batch = 12;
    options.config.optimizer = OptimizerKind::sgd;
    options.config.weight_decay = decay;
    Trainer(options).run({});
    return std::make_unique<ModelFile>(options.output);
  };
  const auto plain = after_one_step(0), decayed = after_one_step(0.5);
  for (const models::Parameter& p : models::parameters_of(plain->graph())) {
    INFO(p.name);
    const bool decays = p.name == "conv1.weight" || p.name == "conv2.weight" || p.name == "fc.weight";
    CHECK((plain->read_all(p.name) != decayed->read_all(p.name)) == decays);
  }
}

TEST_CASE("a batch larger than the data set costs what all photos at once cost") {
  const NoisePhotos photos;
  const auto peak_of_batch = [&](int64_t batch) {
    TrainOptions options = photos.options("out.h5");
    options.config.epochs = 1;
    options.config.batch = batch;
    Trainer(options).run({});
    return options.device->allocator().statistics().peak;
  };
  CHECK(peak_of_batch(65'536) == peak_of_batch(16));  // 12 photos to train on, 16 to validate on
}

TEST_CASE("a run that is stopped within an epoch goes on to the same bytes") {
  const NoisePhotos photos;
  const auto check = [&](const TrainConfig& config) {
    TrainOptions whole = photos.options("whole.h5");
    whole.config = config;
    Trainer(whole).run({});

    TrainOptions parts = photos.options("parts.h5");
    parts.config = config;
    std::atomic<bool> stop = false;
    parts.stop = &stop;
    const auto stop_half_way = [&](const TrainProgress& p) {
      if (p.epoch == 2 && p.images == 8 && std::string(p.phase) == "train") stop = true;
    };
    CHECK(Trainer(parts).run({.progress = stop_half_way, .epoch = {}, .skipped = {}}).end == TrainEnd::interrupted);
    stop = false;
    parts.resume = true;
    CHECK(Trainer(parts).run({}).end == TrainEnd::finished);
    CHECK(bytes_of(parts.output) == bytes_of(whole.output));
    CHECK(bytes_of(checkpoint_path(parts.output)) == bytes_of(checkpoint_path(whole.output)));
  };
  TrainConfig config = photos.options("whole.h5").config;
  check(config);
  config.ema = 0.5;
  config.clip_norm = 0.25;
  check(config);
}

TEST_CASE("what is saved is the average of the weights, if one is made") {
  const NoisePhotos photos;
  for (const double ema : {0.0, 0.5}) {
    TrainOptions options = photos.options("out.h5");
    options.config.epochs = 1;
    options.config.ema = ema;
    Trainer(options).run({});
    const auto saved = ModelFile(options.output).read_all("fc.bias");
    const io::GraftFile checkpoint(checkpoint_path(options.output));
    const auto in_checkpoint = [&](const std::string& name) {
      const auto bytes = checkpoint.read_raw(name).elements;
      const auto* values = reinterpret_cast<const float*>(bytes.data());
      return std::vector<float>(values, values + bytes.size() / sizeof(float));
    };
    CHECK((saved == in_checkpoint("training/parameters/fc.bias")) == (ema == 0));
    CHECK(checkpoint.contains("training/optimizer/average/fc.bias") == (ema > 0));
    if (ema > 0) CHECK(saved == in_checkpoint("training/optimizer/average/fc.bias"));
  }
}

TEST_CASE("a run that dies before its first checkpoint is due is resumed, not the one it replaces") {
  const NoisePhotos photos;
  const TrainOptions options = photos.options("out.h5");
  Trainer(options).run({});
  const std::string whole = bytes_of(options.output);
  const auto die = [](const EpochRecord&, double, bool) { throw std::runtime_error("died"); };
  CHECK_THROWS(Trainer(options).run({.progress = {}, .epoch = die, .skipped = {}}));
  TrainOptions resumed = options;
  resumed.resume = true;
  Trainer trainer(resumed);
  CHECK(trainer.state().history.empty());
  CHECK(trainer.run({}).history.size() == 3);
  CHECK(bytes_of(options.output) == whole);
}

TEST_CASE("half files of a run that died go when the next one starts") {
  const NoisePhotos photos;
  const TrainOptions options = photos.options("out.h5");
  for (const char* name : {"out.h5.tmp-0123abcd", "out.last.h5.tmp-89abcdef", "out.h5.tmp-notastage"})
    std::ofstream(photos.folder / name) << "half";
  const Trainer trainer(options);
  CHECK_FALSE(std::filesystem::exists(photos.folder / "out.h5.tmp-0123abcd"));
  CHECK_FALSE(std::filesystem::exists(photos.folder / "out.last.h5.tmp-89abcdef"));
  CHECK(std::filesystem::exists(photos.folder / "out.h5.tmp-notastage"));
}

TEST_CASE("photos that cannot be read shorten an epoch, not the schedule") {
  const NoisePhotos photos;
  for (const char* file : {"0.png", "3.png", "4.png", "7.png"})
    std::ofstream(photos.folder / "train" / file) << "no PNG";
  const auto parameters_after = [&](int64_t epochs) {
    TrainOptions options = photos.options("out.h5");
    options.config.epochs = epochs;
    options.config.schedule = ScheduleKind::step;
    options.config.step_epochs = 2;
    options.config.step_factor = 0;
    options.config.weight_decay = 0;
    options.config.optimizer = OptimizerKind::sgd;
    std::vector<std::string> skipped;
    Trainer trainer(options);
    const auto outcome =
        trainer.run({.progress = {}, .epoch = {}, .skipped = [&](const auto& s) { skipped.push_back(s.file); }});
    CHECK(skipped.size() == 4);  // once, not in every epoch
    CHECK(trainer.state().skipped_train.size() == 4);
    CHECK(outcome.history.size() == static_cast<size_t>(epochs));
    CHECK((outcome.history.back().learning_rate == 0) == (epochs > 2));
    return io::GraftFile(checkpoint_path(options.output)).read_raw("training/parameters/fc.weight").elements;
  };
  // Two steps an epoch where three were to be expected. From the third epoch on the rate is 0, from its first step on.
  const auto after_two = parameters_after(2);
  CHECK(parameters_after(3) == after_two);
  CHECK(parameters_after(1) != after_two);
}
