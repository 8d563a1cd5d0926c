#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace graft::train {

double learning_rate(const TrainConfig& config, int64_t step, int64_t steps_per_epoch) {
  const double lr = config.learning_rate;
  if (step < config.warmup_steps)
    return lr * static_cast<double>(step + 1) / static_cast<double>(config.warmup_steps + 1);
  switch (config.schedule) {
    case ScheduleKind::constant:
      return lr;
    case ScheduleKind::cosine: {
      const int64_t total = std::max<int64_t>(1, config.epochs * steps_per_epoch - config.warmup_steps);
      const double t = static_cast<double>(std::min(step - config.warmup_steps, total)) / static_cast<double>(total);
      return lr / 2 * (1 + std::cos(std::numbers::pi * t));
    }
    case ScheduleKind::step:
      return lr * std::pow(config.step_factor,
                           static_cast<double>(step / std::max<int64_t>(1, steps_per_epoch) / config.step_epochs));
  }
  return lr;
}

}  // namespace graft::train
