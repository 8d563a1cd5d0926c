// Photos through a network, batch by batch: what predict, evaluate and features share.
#pragma once
#include <functional>
#include <span>

#include "io/dataset.h"
#include "io/loader.h"
#include "tools/backend.h"
#include "tools/report.h"
#include "train/predictor.h"

namespace graft::tools {

struct PhotoRun {
  const train::ModelFile& model;
  const io::Dataset& photos;
  DeviceOptions device;
  int64_t batch = 16;
  std::vector<std::string> layers;  // empty: logits
  const char* doing = "photos";     // beside the progress bar
  bool quiet = false;
};

// Values of the first layer wanted, [n, …] as `shape` says.
using UsePhotos = std::function<void(const io::Batch& batch, std::span<const float> values, const Shape& shape)>;

// In the photos' order. What cannot be read goes to `skipped`, as do those the data set left out. Stops when nobody
// reads the output any more.
void run_photos(const PhotoRun& run, SkippedPhotos& skipped, const UsePhotos& use);

}  // namespace graft::tools
