// A kernel library that is opened at run time, with one C entry. What it was built for is checked before anything else
// of it is read: the first field of the table stands where it has always stood.
#pragma once
#include <cstdint>

#include "contract/backend.h"

namespace graft {

// A hash of the text of contract/*.h, made when it is compiled: two builds that agree on it agree on every struct.
inline constexpr uint64_t kAbiHash = GRAFT_ABI_HASH;

inline constexpr int kPluginTextBytes = 256;

struct PluginDevice {
  char name[kPluginTextBytes] = "";
  int32_t compute_capability = 0;      // 90 means 9.0
  int64_t memory_bytes = 0;            // of the device
  char reason[kPluginTextBytes] = "";  // why it cannot be used; empty: it can
};

// A library the plug-in opens in its turn: cuDNN, cuBLASLt. Without it graft's own kernels serve.
struct PluginLibrary {
  const char* name = nullptr;
  int32_t usable = 0;
  char text[kPluginTextBytes] = "";  // its version and place, or why it cannot be used
};

struct Plugin {
  uint64_t abi_hash = 0;
  const char* version = nullptr;  // of graft, to say it in an error

  // How many devices there are; device_error where the driver does not work, and `reason` says why.
  Status (*count)(int32_t* devices, char reason[kPluginTextBytes]) = nullptr;
  Status (*describe)(int32_t device, PluginDevice*) = nullptr;
  Status (*create)(int32_t device, Backend*, char reason[kPluginTextBytes]) = nullptr;
  int32_t (*libraries)(PluginLibrary* out, int32_t room) = nullptr;  // how many it knows
};

inline constexpr const char* kPluginEntry = "graft_plugin";
using PluginEntry = const Plugin* (*)();

}  // namespace graft
