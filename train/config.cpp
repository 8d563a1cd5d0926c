#include "train/config.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace graft {
constexpr auto kNoPrecision = static_cast<Precision>(-1);
// What is none of them becomes a precision that no run has.
NLOHMANN_JSON_SERIALIZE_ENUM(
    Precision, {{kNoPrecision, nullptr}, {Precision::f32, "f32"}, {Precision::tf32, "tf32"}, {Precision::bf16, "bf16"}})
}  // namespace graft

namespace graft::train {

NLOHMANN_JSON_SERIALIZE_ENUM(OptimizerKind, {{OptimizerKind::sgd, "sgd"}, {OptimizerKind::adamw, "adamw"}})
NLOHMANN_JSON_SERIALIZE_ENUM(ScheduleKind, {{ScheduleKind::constant, "constant"},
                                            {ScheduleKind::cosine, "cosine"},
                                            {ScheduleKind::step, "step"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TrainConfig, model, dataset, trunk, classes, freeze, train, seed, epochs, batch,
                                   micro_batch, precision, optimizer, learning_rate, momentum, nesterov, beta1, beta2,
                                   eps, weight_decay, clip_norm, ema, schedule, warmup_steps, step_epochs, step_factor,
                                   label_smoothing, augment, min_crop_area, validation_fraction, given_split)

void check(const TrainConfig& c) {
  const auto between = [](const char* what, double value, double low, double high) {
    GRAFT_CHECK(std::isfinite(value) && value >= low && value <= high, "{} must be between {} and {}, not {}", what,
                low, high, value);
  };
  GRAFT_CHECK(c.classes.size() >= 2, "a classifier needs two classes or more, the data set has {}", c.classes.size());
  GRAFT_CHECK(c.epochs >= 1 && c.epochs <= 1'000'000, "epochs must be between 1 and 1,000,000, not {}", c.epochs);
  GRAFT_CHECK(c.batch >= 1 && c.batch <= 65'536, "the batch must be between 1 and 65,536, not {}", c.batch);
  GRAFT_CHECK(c.micro_batch >= 0 && c.micro_batch <= c.batch,
              "a micro-batch is a part of the batch of {}: 1 to {} images (0: all), not {}", c.batch, c.batch,
              c.micro_batch);
  GRAFT_CHECK(c.precision != kNoPrecision, "the precision must be f32, tf32 or bf16");
  GRAFT_CHECK(c.warmup_steps >= 0 && c.step_epochs >= 1,
              "the warm-up cannot be negative, nor a step be under an epoch");
  between("the learning rate", c.learning_rate, 0, 1e6);
  between("the momentum", c.momentum, 0, 1);
  between("beta1", c.beta1, 0, 0.9999999);
  between("beta2", c.beta2, 0, 0.9999999);
  between("eps", c.eps, 0, 1);
  between("the weight decay", c.weight_decay, 0, 1e6);
  between("the norm that gradients are clipped to", c.clip_norm, 0, 1e12);
  between("the decay of the average", c.ema, 0, 0.9999999);
  between("the step factor", c.step_factor, 0, 1);
  between("the label smoothing", c.label_smoothing, 0, 1);
  between("the smallest crop", c.min_crop_area, 1e-3, 1);
  between("the validation fraction", c.validation_fraction, 0.01, 0.9);
}

std::string to_json(const TrainConfig& config) { return nlohmann::json(config).dump(2); }

TrainConfig config_from_json(std::string_view text, std::string_view source) {
  try {
    auto config = nlohmann::json::parse(text).get<TrainConfig>();
    check(config);
    return config;
  } catch (const nlohmann::json::exception& e) {
    fail(
        "{}: its training settings cannot be read, another version of graft wrote them or they are damaged ({}); go on "
        "with that version, or begin again: --overwrite in place of --resume",
        source, e.what());
  }
}

std::string differences(const TrainConfig& there, const TrainConfig& here) {
  const nlohmann::json a = there, b = here;
  std::string text;
  for (const auto& [key, value] : a.items())
    if (value != b.at(key)) text += fmt::format("  {}: {} there, {} here\n", key, value.dump(), b.at(key).dump());
  return text;
}

}  // namespace graft::train
