// What each way of a network's calls takes on a device (TuneFunctions): what `graft bench tune` writes down.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/recorder.h"
#include "models/graph.h"

namespace graft::train {

struct TunableCall {
  std::string key;
  OwnedCall call;                 // shapes, types and attributes; its views name no memory
  std::vector<std::string> ways;  // two or more, the rule's first
  int64_t count = 1;              // of such calls
};

// Of the calls those that the device can compute in several ways, each key once, in the order of the calls.
std::vector<TunableCall> tunable_calls(const Device& device, const std::vector<OwnedCall>& calls);

// The calls of a prediction: as they are compiled for a batch of images of side x side pixels.
std::vector<OwnedCall> prediction_calls(const models::Graph& graph, const Device& device, int64_t batch, int64_t side);

struct WayTime {
  std::string way;
  double milliseconds = 0;  // the median of the samples
  std::string failure;      // why it could not be computed; then there is no time
};

struct WayTiming {
  int samples = 7;
  double sample_seconds = 0.003;  // calls of one sample, one behind the other, take at least so long
};

// Operands and workspace in the device's memory, warm: every way runs, then each gives a sample in turn, so that a
// clock that moves meets all of them. Afterwards the rule chooses again. `stop` raised: the times so far are returned,
// and are worth nothing. Throws Error when the rule's way fails.
std::vector<WayTime> time_ways(const std::shared_ptr<Device>& device, const TunableCall& call, const WayTiming& timing,
                               const std::atomic<bool>& stop);

}  // namespace graft::train
