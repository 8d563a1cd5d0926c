// Which backend computes, chosen on the command line.
#pragma once
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "core/device.h"

namespace graft::tools {

struct DeviceOptions {
  std::string device = "auto";  // "cpu", "reference", "cuda"; auto: the fastest that is here
  int threads = 0;              // 0: usable_cpus()
};
void add_device_options(CLI::App& app, DeviceOptions& o);

// Throws Error when the device cannot be used, and says why: nothing else is used instead.
std::shared_ptr<Device> open_device(const DeviceOptions& o);

// Threads that decode photos ahead of the network; a single photo is read by whoever asks for it.
int reading_threads(int64_t photos);

}  // namespace graft::tools
