// The learning rate of each step.
#pragma once
#include <cstdint>

#include "train/config.h"

namespace graft::train {

// Steps are counted from 0, and by the place in the data: step k of an epoch is the one that begins at photo k · batch
// or soon after. A photo that cannot be read shortens its epoch, not the schedule. During warm-up the rate grows in a
// line to config.learning_rate; after it
//   constant   it stays
//   cosine     lr / 2 · (1 + cos(π · t / T)), t steps of T after the warm-up
//              (Loshchilov & Hutter 2017, without restarts)
//   step       lr · step_factor^⌊epoch / step_epochs⌋
double learning_rate(const TrainConfig& config, int64_t step, int64_t steps_per_epoch);

}  // namespace graft::train
