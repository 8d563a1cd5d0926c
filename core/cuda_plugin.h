// NVIDIA GPUs, through libgraft_cuda.so, which is opened at run time: a program that contains graft starts on a machine
// without CUDA and says why a GPU cannot be used. The driver is looked for first, before any large library is opened.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/device.h"

namespace graft {

struct CudaDevice {
  std::string name;
  int compute_capability = 0;  // 90 means 9.0
  int64_t memory_bytes = 0;
  std::string reason;  // why it cannot be used; empty: it can
};

// cuDNN, cuBLASLt: without them graft's own kernels serve.
struct CudaLibrary {
  std::string name;
  bool usable = false;
  std::string text;  // its version, or why it cannot be used
};

struct CudaSurvey {
  std::string reason;  // why no device can be used; empty: see each
  std::vector<CudaDevice> devices;
  std::vector<CudaLibrary> libraries;
};

// What there is. Never throws for what is missing: that is the answer.
CudaSurvey survey_cuda();

// The device of that number. Throws Error that says why it cannot be used: no plug-in, no driver, a driver or a card
// that is too old, another version of the plug-in. Nothing else is used in its place.
std::shared_ptr<Device> open_cuda(int index);

}  // namespace graft
