// Work that a device is given again and again: the same calls on the same addresses. Where the backend can capture, the
// first run is plain (libraries make there what they make late), the second is captured, and from then on each run is
// one call that replays the capture. So what is queued allocates nothing, waits for nothing, and what changes from run
// to run (a learning rate, a random offset) lies in device memory.
//
// Without a capture every run is plain: where the backend has none, where GRAFT_CAPTURE=0 is in the environment (for a
// profiler that wants the layers' names, or a debugger), and while the device has an observer.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "core/device.h"

namespace graft {

bool capture_by_default();  // GRAFT_CAPTURE is not 0

class RepeatedWork {
 public:
  // `name` is what a profiler and an error call it.
  RepeatedWork(std::shared_ptr<Device> device, std::string name, bool capture = capture_by_default());
  ~RepeatedWork();
  RepeatedWork(RepeatedWork&&) noexcept;
  RepeatedWork& operator=(RepeatedWork&&) noexcept;

  // `queue` gives the work to a stream; what it throws comes out here, and nothing stays captured.
  void run(const std::function<void(StreamHandle)>& queue);

  // The work has changed: it begins anew with a plain run.
  void forget();

  bool captures() const;  // may it?
  bool captured() const { return capture_ != nullptr; }

 private:
  struct Capture;

  std::shared_ptr<Device> device_;
  std::string name_;
  bool capture_allowed_;
  bool has_run_ = false;
  std::unique_ptr<Capture> capture_;
};

}  // namespace graft
