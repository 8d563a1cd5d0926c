// A device: a backend, its memory, and the order of its work. Tensors live on one; primitives run on one.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "contract/backend.h"
#include "core/allocator.h"
#include "core/precision.h"

namespace graft {

class Device : public std::enable_shared_from_this<Device> {
 public:
  // Takes over a backend that an entry such as graft_cpu_backend has filled in. Throws Error when its contract is
  // another one.
  static std::shared_ptr<Device> create(const Backend& backend);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const Backend& backend() const { return backend_; }
  const char* name() const { return backend_.name; }
  std::string description() const;
  Allocator& allocator() { return allocator_; }

  // Runs a primitive now or, while a Recorder is active on this thread, writes it down. Its work may still be queued on
  // return. Throws Error, with the layer's name, for a status that is not ok.
  template <typename Args>
  void run(const Args& args) {
    run(primitive_of<Args>, &args);
  }
  void run(Primitive primitive, const void* args);

  // The order in which everything here runs, unless a caller gives it another stream.
  StreamHandle stream() const { return stream_; }

  // A primitive with a workspace the caller planned; allocates nothing.
  Status try_run(Primitive primitive, const void* args, void* workspace, int64_t workspace_bytes) {
    return try_run(primitive, args, workspace, workspace_bytes, stream_);
  }
  Status try_run(Primitive primitive, const void* args, void* workspace, int64_t workspace_bytes, StreamHandle stream);
  int64_t workspace_bytes(Primitive primitive, const void* args) const;

  // Host copies. `to_host` returns when the bytes are there; `from_host` when `from` may be reused.
  void to_host(void* to, const void* from, int64_t bytes);
  void from_host(void* to, const void* from, int64_t bytes);
  void copy(void* to, const void* from, int64_t bytes);  // within the device, in order
  void synchronize();

  // Throws what `status` means: "conv2d on cpu: unsupported: x [2, 7, 5, 3] …".
  void check(Status status, const char* what, const std::string& arguments = {}) const;

  // What networks of f32 parameters compute in on this device: f32, or bf16 with sums, statistics, gradients of
  // parameters and the parameters themselves in f32. Throws Error when the backend has no kernels for it.
  DType compute_type() const { return compute_type_; }
  void set_compute_type(DType type);

  // The same as users say it. A device without TF32 computes in f32 where it is asked for tf32: that is more exact, and
  // what it then says. Throws Error when the backend has no kernels for it.
  Precision precision() const;
  void set_precision(Precision precision);

  // A hash of the choices among the ways of its calls that were read from a tuning file; empty: the backend's rules
  // choose.
  std::string tuning;

  // For tests: sees every call that runs on this device, with the name of its kernel. So nothing is captured meanwhile.
  std::function<void(Primitive, const char* kernel)> observer;

 private:
  explicit Device(const Backend& backend) : backend_(backend), allocator_(backend_) {}

  const Backend backend_;
  Allocator allocator_;
  StreamHandle stream_ = nullptr;
  DType compute_type_ = DType::f32;
  bool allows_tf32_ = false;
};

// "x [2, 7, 5, 3] f32, weight …": the views of a call, for error messages.
std::string describe_call(Primitive primitive, const void* args);

}  // namespace graft
