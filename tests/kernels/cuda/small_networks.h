// Small networks with every kind of layer: residual, plain and inverted-bottleneck ones, whole and with a frozen trunk.
#pragma once
#include <string>
#include <vector>

#include "models/graph.h"
#include "train/config.h"

namespace graft::test {

struct SmallNetwork {
  const char* name;
  models::Graph (*graph)();
  std::vector<std::string> frozen;
  train::OptimizerKind optimizer;
  int64_t micro_batch = 0;
};
const std::vector<SmallNetwork>& small_networks();
train::TrainConfig config_of(const SmallNetwork& network);  // five classes, batches of 4

}  // namespace graft::test
