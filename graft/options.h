// Where to compute.
#pragma once
#include <string>

namespace graft {

struct DeviceOptions {
  std::string name = "cpu";  // "cpu": graft's own kernels; "reference": plain loops, slow, to compare with
  int threads = 0;           // the calling thread included; 0: as many as the process may use
};

}  // namespace graft
