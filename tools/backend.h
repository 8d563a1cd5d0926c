// Which backend computes, chosen on the command line.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>

#include "graft/open_device.h"

namespace graft::tools {

void add_device(CLI::App& app, DeviceOptions& o);          // --device, --threads
void add_device_options(CLI::App& app, DeviceOptions& o);  // and --precision

// Opens it, and says in one line where it computes in another precision than was asked for.
std::shared_ptr<Device> open_device_noted(const DeviceOptions& options);

// Threads that decode photos ahead of the network; a single photo is read by whoever asks for it.
int reading_threads(int64_t photos);

}  // namespace graft::tools
