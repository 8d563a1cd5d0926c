// Training steps on their way: the photos, the labels and the learning rate of a step go to the device while it
// computes the step before, and what a step answers is read one step late. So the host never waits for the step it has
// just queued. On a device without overlapping copies a step is done when it has been queued, and read at once.
//
// The flag makes late reading safe: once it is up nothing moves, so the step that was queued behind one that diverged
// leaves weights, statistics and counters as they were before both.
#pragma once
#include <deque>

#include "core/step_ring.h"
#include "io/loader.h"
#include "train/scion.h"

namespace graft::train {

class StepQueue {
 public:
  // All of them outlive it.
  StepQueue(Rootstock& rootstock, Scion& scion, StepState& state);

  // Queues a step on a batch; `after` is where its loader is then.
  void push(const io::Batch& batch, double learning_rate, io::LoaderState after);

  size_t depth() const { return ring_.depth(); }  // no more steps than this are under way
  size_t under_way() const { return ring_.under_way(); }

  struct Finished {
    Scion::Result result;
    std::vector<int64_t> labels;
    io::LoaderState after;
    bool diverged = false;  // this step, or one before it
  };
  // Waits for the oldest step under way.
  Finished pop();

 private:
  struct Queued {
    std::vector<int64_t> labels;
    io::LoaderState after;
  };

  Rootstock& rootstock_;
  Scion& scion_;
  StepState& state_;
  StepRing ring_;
  std::deque<Queued> queued_;
};

}  // namespace graft::train
