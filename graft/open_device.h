// The backend that DeviceOptions name.
#pragma once
#include <memory>
#include <optional>
#include <string_view>

#include "core/device.h"
#include "graft/options.h"

namespace graft {

// Throws Error when the device cannot be used, and says why.
std::shared_ptr<Device> open_device(const DeviceOptions& options);

// 0 of "cuda", 3 of "cuda:3"; nothing for another name.
std::optional<int> cuda_index(std::string_view name);

// One of "auto", "cpu", "reference", "cuda", "cuda:N".
bool is_device_name(std::string_view name);

// Of "f32", "tf32" or "bf16"; nothing for another name.
std::optional<Precision> precision_named(std::string_view name);

}  // namespace graft
