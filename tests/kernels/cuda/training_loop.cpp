// The trainer where steps are captured and read one step late: whatever happens on the way, a run is the run that a
// device without either makes.
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/cuda_on_host/control.h"
#include "tests/kernels/cuda/host_run_device.h"
#include "tests/kernels/cuda/small_networks.h"
#include "tests/train/noise_photos.h"
#include "tests/train/scion_setup.h"

using namespace graft;
using namespace graft::train;
using graft::test::bytes_of;
using graft::test::NoisePhotos;

namespace {

// Every step is waited for, and called one by one.
void as_on_the_cpu(Backend* backend) {
  backend->device.begin_capture = nullptr;
  backend->device.allocate_host = nullptr;
}

// 12 photos in batches of 5: the last batch of an epoch has a plan of its own.
TrainOptions options_of(const NoisePhotos& photos, const std::string& output,
                        const std::function<void(Backend*)>& change = {}) {
  TrainOptions options = photos.options(output);
  options.device = test::cuda_device(DType::f32, change);
  options.config.batch = 5;
  return options;
}

struct Run {
  std::vector<int64_t> images;  // of each progress
  std::vector<double> losses;
  TrainOutcome outcome;
  std::string model, checkpoint;
};

// One device at a time: each begins with a host-run GPU as new.
Run run(const TrainOptions& options) {
  Run r;
  const auto progress = [&](const TrainProgress& p) {
    r.images.push_back(p.images);
    r.losses.push_back(p.loss);
  };
  r.outcome = Trainer(options).run({.progress = progress, .epoch = {}, .skipped = {}});
  r.model = bytes_of(options.output);
  r.checkpoint = bytes_of(checkpoint_path(options.output));
  return r;
}

void check_same(const Run& a, const Run& b) {
  CHECK(a.images == b.images);
  CHECK(a.losses == b.losses);
  CHECK((a.model == b.model));
  CHECK((a.checkpoint == b.checkpoint));
}

}  // namespace

TEST_CASE("a captured run that reads late makes the model, the checkpoint and the log of one that does not") {
  const NoisePhotos photos;
  const Run late = run(options_of(photos, "late.h5"));
  check_same(late, run(options_of(photos, "plain.h5", as_on_the_cpu)));
  CHECK(std::vector<int64_t>(late.images.begin(), late.images.begin() + 3) == std::vector<int64_t>{5, 10, 12});
  CHECK(cuda_on_host::take_findings().empty());
}

TEST_CASE("a captured run that is stopped within an epoch, or saves after each step, goes on to the same bytes") {
  const NoisePhotos photos;
  const Run whole = run(options_of(photos, "whole.h5"));
  TrainOptions parts = options_of(photos, "parts.h5");
  parts.checkpoint_seconds = 0;
  std::atomic<bool> stop = false;
  parts.stop = &stop;
  int64_t last = 0;
  const auto stop_half_way = [&](const TrainProgress& p) {
    if (p.epoch == 2 && p.images == 5 && std::string(p.phase) == "train") stop = true;
    last = p.images;
  };
  {
    Trainer first(parts);
    CHECK(first.run({.progress = stop_half_way, .epoch = {}, .skipped = {}}).end == TrainEnd::interrupted);
    CHECK(first.state().loader.next == static_cast<uint64_t>(last));  // what was told is what was saved
  }
  stop = false;
  parts.resume = true;
  const Run resumed = run(parts);
  CHECK(resumed.outcome.end == TrainEnd::finished);
  CHECK((resumed.model == whole.model));
  CHECK((resumed.checkpoint == whole.checkpoint));
  CHECK(cuda_on_host::take_findings().empty());
}

TEST_CASE("a captured run that dies is resumed where it was saved, with the state of finished steps alone") {
  const NoisePhotos photos;
  const Run whole = run(options_of(photos, "whole.h5"));
  TrainOptions parts = options_of(photos, "parts.h5");
  parts.checkpoint_seconds = 0;
  const auto die = [](const TrainProgress& p) {
    if (p.epoch == 2 && p.images == 12 && std::string(p.phase) == "train") throw std::runtime_error("died");
  };
  CHECK_THROWS_WITH(Trainer(parts).run({.progress = die, .epoch = {}, .skipped = {}}), "died");
  parts.resume = true;
  const Run resumed = run(parts);
  CHECK(resumed.images.front() == 12);  // the step that was not saved, and no other, comes again
  CHECK((resumed.model == whole.model));
  CHECK((resumed.checkpoint == whole.checkpoint));
}

TEST_CASE("a run that diverges names the step and keeps the state before it, read late or at once") {
  const NoisePhotos photos;
  const auto diverge = [&](const std::string& output, const std::function<void(Backend*)>& change) {
    TrainOptions options = options_of(photos, output, change);
    options.config.optimizer = OptimizerKind::sgd;
    options.config.schedule = ScheduleKind::constant;
    options.config.learning_rate = options.config.weight_decay = 1e6;  // weights grow 1e12-fold in each step
    options.config.momentum = 0;
    options.config.batch = 2;
    return run(options);
  };
  const Run late = diverge("late.h5", {}), at_once = diverge("plain.h5", as_on_the_cpu);
  REQUIRE(at_once.outcome.end == TrainEnd::diverged);
  CHECK(late.outcome.end == TrainEnd::diverged);
  CHECK(late.outcome.diverged_in == DivergedIn::training);
  CHECK(late.outcome.diverged_step == at_once.outcome.diverged_step);
  CHECK(late.outcome.diverged_step > 1);
  check_same(late, at_once);
}
