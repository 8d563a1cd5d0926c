// A recorded step made ready to run again and again: rewritten, its buffers planned into one arena, its addresses put
// in.
//
//   Recorder recorder(device);
//   Tensor loss = …;                       // shapes only: nothing is computed
//   StepPlan plan(recorder.finish(), {loss});
//   images.assign(…);  plan.execute();  plan.result(0).item();
//
// What a step reads and writes across executions (inputs, parameters, optimiser state) are ordinary tensors made before
// the recording; they must outlive the plan. An execution allocates nothing and may return before its work is done.
// Where the device can, it replays what an earlier one captured: see repeated_work.h.
#pragma once
#include <string>
#include <vector>

#include "core/recorder.h"
#include "core/repeated_work.h"
#include "core/tensor.h"

namespace graft {

struct StepPlanOptions {
  bool fuse = true;  // batch norm + residual add + activation as one call, forward and backward
  bool capture = capture_by_default();
  std::string name = "step";  // for errors and profilers
};

struct StepPlanStatistics {
  int64_t arena_bytes = 0;
  int64_t lower_bound_bytes = 0;  // no plan of these calls in this order needs less
  int64_t calls = 0;
  int64_t recorded_calls = 0;  // before the rewrites
};

class StepPlan {
 public:
  // `results` are tensors of the recording whose values are wanted after each execution.
  StepPlan(Recording recording, const std::vector<Tensor>& results, const StepPlanOptions& options = {});

  void execute();
  const Tensor& result(size_t index) const { return results_[index]; }

  const StepPlanStatistics& statistics() const { return statistics_; }
  bool captured() const { return work_.captured(); }  // by an execution before: the next one replays
  const std::vector<OwnedCall>& calls() const { return recording_.calls; }

 private:
  struct Workspace {
    void* memory;
    int64_t bytes;
  };

  void queue_calls(StreamHandle stream) const;

  Recording recording_;
  std::vector<Workspace> workspaces_;  // one a call, in the arena
  std::shared_ptr<Storage> arena_;
  std::vector<Tensor> results_;
  StepPlanStatistics statistics_;
  RepeatedWork work_;
};

}  // namespace graft
