// Devices for tests.
#pragma once
#include <memory>

#include "core/device.h"
#include "kernels/cpu/cpu_backend.h"

namespace graft::test {

std::shared_ptr<Device> reference_device();

// graft's own kernels at an instruction set this machine has (see has_isa), or a lower one.
std::shared_ptr<Device> cpu_device(CpuIsa max_isa = CpuIsa::avx512, int threads = 2);
bool has_isa(CpuIsa isa);

// Reference arithmetic behind a queue: a call returns at once and runs as late as copies, events and synchronisation
// allow. Code that reads a result too early sees garbage.
std::shared_ptr<Device> queueing_device();

}  // namespace graft::test
