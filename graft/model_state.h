// What is behind a Model. Not installed.
#pragma once
#include <list>
#include <mutex>

#include "graft/model.h"
#include "train/predictor.h"

namespace graft {

struct Model::State {
  State(std::shared_ptr<Device> d, train::ModelFile f) : device(std::move(d)), file(std::move(f)) {}

  std::shared_ptr<Device> device;
  train::ModelFile file;
  int64_t parameters = 0;

  // A plan for each layer, batch and size in use; the least recently used of many goes. Plans of one layer share their
  // packed weights.
  struct PlanKey {
    std::string layer;
    int64_t n = 1, height = 0, width = 0;
    friend bool operator==(const PlanKey&, const PlanKey&) = default;
  };
  std::shared_ptr<const train::Predictor> predictor(const PlanKey& key);

 private:
  struct Plan {
    PlanKey key;
    std::shared_ptr<const train::Predictor> predictor;
  };
  std::shared_ptr<const train::Predictor> find(const PlanKey& key);
  std::shared_ptr<const train::Predictor> find_sibling(const PlanKey& key);

  static constexpr size_t kPlansKept = 4;
  std::mutex mutex_;       // of the list; never held while a plan is made
  std::mutex making_;      // one plan is made at a time, so that the next can share its weights
  std::list<Plan> plans_;  // most recently used first
};

}  // namespace graft
