// From what a user asks for to what a Trainer needs: the photos found and divided, the network with the right head,
// every default filled in. `graft train` and the library's Trainer both begin here.
#pragma once
#include <memory>
#include <optional>

#include "io/dataset.h"
#include "train/config.h"
#include "train/model_file.h"

namespace graft::train {

struct RunRequest {
  std::filesystem::path photos;         // a folder of class folders, with or without train/ and val/
  std::filesystem::path from;           // a model file; empty: from scratch
  std::string scratch;                  // then: the network's name
  TrainConfig config;                   // model, dataset, trunk and classes are filled in
  std::optional<double> learning_rate;  // absent: see default_learning_rate
};

struct RunSetup {
  io::Dataset train, validation;
  std::shared_ptr<const ModelFile> from;  // nullptr: from scratch
  ModelInfo model;
  TrainConfig config;
};

// Without patterns, a trained network keeps its trunk and trains the head alone. Throws Error: folders, classes,
// patterns, files.
RunSetup set_up(const RunRequest& request);

// AdamW 3e-3, SGD 3e-2 for a head alone: it learns fast. AdamW 1e-4, SGD 1e-3 where a trained trunk moves: it knows how
// to see, and forgets when it is pushed. From scratch AdamW 1e-3, SGD 5e-2.
double default_learning_rate(OptimizerKind optimizer, bool from_scratch, bool head_alone);

}  // namespace graft::train
