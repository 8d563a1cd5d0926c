// The backend that DeviceOptions name.
#pragma once
#include <memory>

#include "core/device.h"
#include "graft/options.h"

namespace graft {

std::shared_ptr<Device> open_device(const DeviceOptions& options);

}  // namespace graft
