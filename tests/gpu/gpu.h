// The GPU of this machine, opened as the program opens it: through the plug-in. This folder links nothing of CUDA.
#pragma once
#include <memory>
#include <string>

#include "core/device.h"

namespace graft::test {

struct Gpu {
  std::shared_ptr<Device> device;  // nullptr: there is none, and `reason` says why
  std::string reason;
};

// cuda:0, opened by the first who asks, for good. GRAFT_CUDA_PLUGIN may name other kernels than those beside the
// program: the ones that g++ compiled, to prove these tests where there is no GPU.
const Gpu& gpu();

// Use:  const Gpu* g = need_gpu(); if (!g) return;
const Gpu* need_gpu();

// The GPU's functions; whoever destroys the copy destroys nothing.
Backend gpu_backend();

// The same, but each call is captured and then replayed.
Backend replaying_backend();

}  // namespace graft::test
