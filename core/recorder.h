// While a Recorder is alive on a thread, tensors made there get a buffer number instead of memory, and primitives are
// written down instead of run. Nothing is computed: a whole training step is recorded from shapes alone, then planned
// (step_plan.h). Tensors made before keep their real memory; the recorded calls name it, so they must outlive whatever
// executes the list.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "contract/recording.h"
#include "core/device.h"

namespace graft {

class Storage;

// A call with its arguments beside it.
struct OwnedCall {
  Primitive primitive = {};
  int32_t layer = -1;  // index into Recording::layers
  AnyArgs args = {};

  TensorView* views() { return views_of(args.bytes); }
  const TensorView* views() const { return views_of(args.bytes); }
  Roles roles() const { return info_of(primitive).roles; }
  template <typename Args>
  Args& as() {
    return *reinterpret_cast<Args*>(args.bytes);
  }
  template <typename Args>
  const Args& as() const {
    return *reinterpret_cast<const Args*>(args.bytes);
  }
};

struct Recording {
  std::shared_ptr<Device> device;
  std::vector<OwnedCall> calls;
  std::vector<int64_t> buffers;                   // bytes of each recorded buffer
  std::vector<std::string> layers;                // names that calls refer to
  std::vector<std::shared_ptr<Storage>> changed;  // tensors made before, which the calls change in place
};

class Recorder {
 public:
  explicit Recorder(std::shared_ptr<Device> device);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  static Recorder* current();  // this thread's, or nullptr

  void append(Device& device, Primitive primitive, const void* args);
  void* new_buffer(Device& device, int64_t bytes);  // a virtual address
  void changes(std::shared_ptr<Storage> storage) { recording_.changed.push_back(std::move(storage)); }

  Recording finish();  // ends the recording; only the destructor may follow

 private:
  Recording recording_;
  Recorder* previous_;
  bool active_ = true;
};

}  // namespace graft
