// The way of a step's inputs to the device and of its results back, so that the host prepares one step while the device
// computes the one before, and waits for none that it has just queued.
//
//   StepRing ring(device, {images, labels}, {4});     // the tensors a step reads, the most bytes of each result
//   for (…) {
//     ring.give({{bytes of the photos}, {bytes of the labels}});
//     plan.execute();
//     ring.take({loss});
//     if (ring.under_way() == ring.depth()) use(ring.finish()[0]);   // of the step before this one
//   }
//
// Where copies overlap with computing (core/stream.h), two steps are under way at most, each with page-locked memory of
// its own for what it is given and what it answers:
//
//   host      write k+1 | queue k+1         | read k's results, once `finished` k has come
//   copies               k+1 → staging                                (after `taken` k, before `arrived` k+1)
//   compute   … step k → results, finished    staging → inputs, taken, step k+1 → results, …
//
// The device's staging memory is there because step k reads its inputs while those of k+1 arrive; they pass on to the
// inputs' fixed addresses at the speed of the device's memory. Elsewhere a copy is done on return: one step is under
// way, its inputs are written where it reads them, and nothing is staged.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "core/stream.h"
#include "core/tensor.h"

namespace graft {

class StepRing {
 public:
  using Bytes = std::span<const std::byte>;

  // Inputs and results of every step, in the order of give() and take().
  StepRing(std::shared_ptr<Device> device, std::vector<Tensor> inputs, const std::vector<int64_t>& result_bytes);
  ~StepRing();  // waits for what is under way
  StepRing(const StepRing&) = delete;
  StepRing& operator=(const StepRing&) = delete;

  size_t depth() const { return slots_.size(); }  // steps that may be under way at once: 1 or 2
  size_t under_way() const { return given_ - finished_; }

  // Puts each input's first bytes there for what is queued next. The bytes may be changed on return.
  void give(const std::vector<Bytes>& inputs);
  // Ends what was queued for the step: its results set off for the host.
  void take(const std::vector<Tensor>& results);
  // Waits for the oldest step under way, for nothing behind it. Its results stay until the next but one is given.
  const std::vector<Bytes>& finish();

 private:
  // A step's place; its turn comes again when the step is finished.
  struct Slot {
    Slot(const std::shared_ptr<Device>& device, int64_t input_bytes, int64_t result_bytes, bool overlap);

    HostMemory inputs, results;
    std::optional<Event> finished;
    std::vector<Bytes> answer;
  };
  // What orders the copies with the device's own work; nothing where copies do not overlap with it.
  struct Staging {
    Staging(const std::shared_ptr<Device>& device, int64_t bytes);

    Stream copies;
    Event arrived, taken;  // into the staging memory, and out of it
    std::shared_ptr<Storage> memory;
  };

  void stage(Slot& slot, const std::vector<Bytes>& inputs);
  Slot& slot_of(size_t step) { return *slots_[step % slots_.size()]; }

  std::shared_ptr<Device> device_;
  std::vector<Tensor> inputs_;
  std::vector<int64_t> input_offsets_, result_offsets_;  // in a slot's memory, and its size at the end
  std::optional<Staging> staging_;
  std::vector<std::unique_ptr<Slot>> slots_;
  size_t given_ = 0, finished_ = 0;
};

}  // namespace graft
