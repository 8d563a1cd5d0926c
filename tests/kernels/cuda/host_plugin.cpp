// The plug-in is graft_cuda_host, whole. GRAFT_HOST_FAULTS plants failures of its device: "operation=120" loses it in
// the 120th operation that runs, "copy=3" in the third copy, "launch=7" refuses a launch, "memory_limit=100000" is what
// it has.
#include <cstdlib>
#include <string>

#include "tests/cuda_on_host/control.h"

namespace {

const bool planted = [] {
  const char* text = std::getenv("GRAFT_HOST_FAULTS");
  if (text == nullptr) return false;
  const std::string fault = text;
  const size_t equals = fault.find('=');
  if (equals == std::string::npos) std::abort();
  const std::string kind = fault.substr(0, equals);
  const int64_t count = std::stoll(fault.substr(equals + 1));
  graft::cuda_on_host::Faults faults;
  if (kind == "operation")
    faults.operation = count;
  else if (kind == "copy")
    faults.copy = count;
  else if (kind == "launch")
    faults.launch = count;
  else if (kind == "memory_limit")
    faults.memory_limit = static_cast<size_t>(count);
  else
    std::abort();
  graft::cuda_on_host::plant(faults);
  return true;
}();

}  // namespace
