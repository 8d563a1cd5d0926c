// What is behind a Model. Not installed.
#pragma once
#include <list>
#include <mutex>

#include "graft/model.h"
#include "train/predictor.h"

namespace graft {

struct Model::State {
  std::shared_ptr<Device> device;
  train::ModelFile file;
  int64_t parameters = 0;

  // A plan for each layer, batch and size in use; the least recently used of many goes.
  struct Plan {
    std::string layer;
    int64_t n, height, width;
    std::shared_ptr<const train::Predictor> predictor;
  };
  static constexpr size_t kPlansKept = 4;
  std::mutex mutex;
  std::list<Plan> plans;  // most recently used first

  std::shared_ptr<const train::Predictor> predictor(const std::string& layer, int64_t n, int64_t height, int64_t width);
};

}  // namespace graft
