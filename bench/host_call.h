// Calls of a primitive on plain host memory, for a backend that computes there: the reference above all.
#pragma once
#include <array>

#include "bench/kernel_case.h"
#include "bench/numbers.h"
#include "contract/backend.h"

namespace graft::bench {

using Tensors = std::array<Bytes, kMaxViews>;

// What a call on host memory needs beside its arguments.
class Workspace {
 public:
  Workspace(const Backend&, Primitive, const void* args);
  CallContext context() const;

 private:
  void* self_;
  int64_t bytes_;
  Bytes memory_;
};

// Arguments and the memory they point to.
class HostCall {
 public:
  HostCall(Primitive, const AnyArgs&, Tensors);
  HostCall(Primitive, const void* args);  // copies the tensors
  HostCall(const HostCall& other) : HostCall(other.primitive_, other.args_, other.tensors_) {}
  HostCall& operator=(const HostCall&) = delete;

  void* args() { return args_.bytes; }
  const void* args() const { return args_.bytes; }
  const Tensors& tensors() const { return tensors_; }
  Status run(const Backend&);  // of a backend that computes in host memory
  void zero_outputs();

 private:
  void bind();

  Primitive primitive_;
  AnyArgs args_;
  Tensors tensors_;
};

}  // namespace graft::bench
