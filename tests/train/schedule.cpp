#include "train/schedule.h"

#include <catch2/catch.hpp>

using namespace graft::train;

TEST_CASE("a constant schedule stays") {
  TrainConfig c{.learning_rate = 0.5, .schedule = ScheduleKind::constant};
  CHECK(learning_rate(c, 0, 10) == 0.5);
  CHECK(learning_rate(c, 1000, 10) == 0.5);
}

TEST_CASE("a cosine begins at the top, is half way in the middle and ends at nothing") {
  TrainConfig c{.epochs = 4, .learning_rate = 2, .schedule = ScheduleKind::cosine};
  CHECK(learning_rate(c, 0, 10) == Approx(2));
  CHECK(learning_rate(c, 20, 10) == Approx(1));
  CHECK(learning_rate(c, 40, 10) == Approx(0).margin(1e-12));
  CHECK(learning_rate(c, 41, 10) == Approx(0).margin(1e-12));
}

TEST_CASE("the step schedule drops by its factor") {
  TrainConfig c{.epochs = 9, .learning_rate = 1, .schedule = ScheduleKind::step, .step_epochs = 3, .step_factor = 0.1};
  CHECK(learning_rate(c, 29, 10) == Approx(1));
  CHECK(learning_rate(c, 30, 10) == Approx(0.1));
  CHECK(learning_rate(c, 89, 10) == Approx(0.01));
}

TEST_CASE("a warm-up grows in a line and the cosine follows it") {
  TrainConfig c{.epochs = 2, .learning_rate = 1, .schedule = ScheduleKind::cosine, .warmup_steps = 4};
  CHECK(learning_rate(c, 0, 12) == Approx(0.2));
  CHECK(learning_rate(c, 3, 12) == Approx(0.8));
  CHECK(learning_rate(c, 4, 12) == Approx(1));
  CHECK(learning_rate(c, 14, 12) == Approx(0.5));
}
