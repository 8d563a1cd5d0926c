// Devices for tests.
#pragma once
#include <memory>

#include "core/device.h"

namespace graft::test {

std::shared_ptr<Device> reference_device();

// Reference arithmetic behind a queue: a call returns at once and runs as late as copies, events and synchronisation
// allow. Code that reads a result too early sees garbage.
std::shared_ptr<Device> queueing_device();

}  // namespace graft::test
