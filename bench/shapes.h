// Which cases are timed: layers of the networks, or lines of a file.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "bench/kernel_case.h"

namespace graft::bench {

// A line a case; # begins a comment. Throws Error with file and line number.
std::vector<KernelCase> read_shapes(const std::filesystem::path& file, DType dtype);

// Every layer of a network that is unlike the layers before it, at the network's own image size.
std::vector<KernelCase> network_cases(const std::string& network, int64_t batch, DType dtype);

// Layers of ResNet-50, VGG-16 and EfficientNet-B0, one of each kind, and what streams through memory beside them.
std::vector<KernelCase> standard_cases(int64_t batch, DType dtype);

}  // namespace graft::bench
