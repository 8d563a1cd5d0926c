// A device for planning: tensors on it have addresses but no memory, primitives do nothing, copies carry nothing.
// Workspaces and compiled pieces are as large as on `real`, so a step that is recorded and planned on it needs what it
// would need there, and costs nothing. A value on it must not be asked for.
#pragma once
#include <memory>

#include "core/device.h"

namespace graft {

std::shared_ptr<Device> shapes_device(std::shared_ptr<Device> real);

}  // namespace graft
