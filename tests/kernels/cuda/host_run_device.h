// A device of host-run kernels.
#pragma once
#include <functional>
#include <memory>

#include "core/device.h"

namespace graft::test {

// On a host-run GPU as new. `change` may put other functions into the backend's table.
std::shared_ptr<Device> cuda_device(DType compute, const std::function<void(Backend*)>& change = {});

}  // namespace graft::test
