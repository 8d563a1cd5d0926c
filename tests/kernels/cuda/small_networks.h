// Small networks with every kind of layer, and a device of host-run kernels to train them on.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/train/scion_setup.h"

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

// On a host-run GPU as new. `change` may put other functions into the backend's table.
std::shared_ptr<Device> cuda_device(DType compute, const std::function<void(Backend*)>& change = {});

}  // namespace graft::test
