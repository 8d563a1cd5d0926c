// What a call into a kernel library returns. Nothing throws across that border; core turns a status into an Error that
// names the call, the shapes and the layer.
#pragma once
#include <cstdint>

namespace graft {

enum class Status : int32_t {
  ok = 0,
  invalid_argument,  // shapes, types or attributes the primitive does not define
  unsupported,       // defined, but not by this backend
  out_of_memory,
  device_error,  // the device or its library failed; Device::last_error says how
};

constexpr const char* name_of(Status status) {
  constexpr const char* kNames[] = {"ok", "invalid argument", "unsupported", "out of memory", "device error"};
  return kNames[static_cast<int32_t>(status)];
}

}  // namespace graft
