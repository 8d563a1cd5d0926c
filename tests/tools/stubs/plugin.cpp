// Plug-ins as one would not want them. STUB_KIND: 0 no entry, 1 another version, 2 a driver that is too old, 3 one
// device whose kernels are not built, 4 one device with a backend that has no kernels.
#include "contract/plugin.h"

#include <cstdio>

namespace {

using namespace graft;

[[maybe_unused]] Status count(int32_t* devices, char reason[kPluginTextBytes]) {
  *devices = STUB_KIND == 2 ? 0 : 1;
  if (STUB_KIND == 2) std::snprintf(reason, kPluginTextBytes, "the driver is from another age: update the driver");
  return STUB_KIND == 2 ? Status::device_error : Status::ok;
}
[[maybe_unused]] Status describe(int32_t, PluginDevice* out) {
  *out = PluginDevice{};
  std::snprintf(out->name, sizeof out->name, "Stub 1");
  return Status::ok;
}
[[maybe_unused]] Status create(int32_t device, Backend* out, char reason[kPluginTextBytes]) {
  if (device != 0) {
    std::snprintf(reason, kPluginTextBytes, "there is no device %d", device);
    return Status::invalid_argument;
  }
  if (STUB_KIND == 3) {
    std::snprintf(reason, kPluginTextBytes, "compute capability 5.2 is too old");
    return Status::unsupported;
  }
  *out = Backend{};
  out->name = "cuda";
  out->destroy = [](void*) {};
  return Status::ok;
}
[[maybe_unused]] int32_t libraries(PluginLibrary* out, int32_t room) {
  if (room > 0) {
    out[0] = {.name = "cuDNN", .usable = 0, .text = "version 8 is here, graft needs 9.x; its own kernels serve"};
  }
  return 1;
}

[[maybe_unused]] constexpr Plugin kPlugin = {.abi_hash = STUB_KIND == 1 ? kAbiHash + 1 : kAbiHash,
                                             .version = "0.0.1",
                                             .count = count,
                                             .describe = describe,
                                             .create = create,
                                             .libraries = libraries};

}  // namespace

#if STUB_KIND != 0
extern "C" const graft::Plugin* graft_plugin() { return &kPlugin; }
#endif
