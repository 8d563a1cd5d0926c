#include "core/cuda_plugin.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "contract/plugin.h"
#include "core/error.h"

namespace graft {

namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "libgraft_cuda.so";

// Beside the program, where a build leaves it; then where an installation has libraries. GRAFT_CUDA_PLUGIN names it
// outright.
std::vector<fs::path> plugin_places() {
  if (const char* named = std::getenv("GRAFT_CUDA_PLUGIN"); named != nullptr && *named != '\0') return {named};
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  return {program / kFile, program / "../lib" / kFile, fs::path(GRAFT_INSTALL_LIBDIR) / kFile};
}

// The plug-in's table, checked. Libraries stay open: a thread that is at work in one may outlive whoever asked.
const Plugin& plugin() {
  GRAFT_CHECK(dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) != nullptr,
              "there is no NVIDIA driver on this machine (libcuda.so.1 cannot be opened)");
  std::string tried;
  for (const fs::path& place : plugin_places()) {
    std::error_code error;
    if (!fs::exists(place, error)) {
      tried += fmt::format("{}{}", tried.empty() ? "" : ", ", place.lexically_normal().string());
      continue;
    }
    void* library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    GRAFT_CHECK(library != nullptr, "the CUDA plug-in cannot be opened: {}", dlerror());
    const auto entry = reinterpret_cast<PluginEntry>(dlsym(library, kPluginEntry));
    GRAFT_CHECK(entry != nullptr, "{} is no plug-in of graft: it has no {}", place.string(), kPluginEntry);
    const Plugin* table = entry();
    GRAFT_CHECK(table != nullptr && table->abi_hash == kAbiHash,
                "{} was built from another version of graft; build or install the two together", place.string());
    return *table;
  }
  fail(
      "graft's CUDA plug-in is not here (looked for {}); `cmake --preset cuda` builds it, GRAFT_CUDA_PLUGIN may name "
      "it",
      tried);
}

}  // namespace

CudaSurvey survey_cuda() {
  CudaSurvey survey;
  try {
    const Plugin& table = plugin();
    PluginLibrary libraries[8];
    const int32_t known = std::min<int32_t>(table.libraries(libraries, 8), 8);
    for (int32_t i = 0; i < known; ++i)
      survey.libraries.push_back({libraries[i].name, libraries[i].usable != 0, libraries[i].text});
    char reason[kPluginTextBytes] = "";
    int32_t devices = 0;
    if (table.count(&devices, reason) != Status::ok) survey.reason = reason;
    for (int32_t i = 0; i < devices; ++i) {
      PluginDevice d;
      if (table.describe(i, &d) != Status::ok && d.reason[0] == '\0')
        std::snprintf(d.reason, sizeof d.reason, "it cannot be asked");
      survey.devices.push_back({d.name, d.compute_capability, d.memory_bytes, d.reason});
    }
  } catch (const Error& e) {
    survey.reason = e.what();
  }
  return survey;
}

std::shared_ptr<Device> open_cuda(int index) {
  Backend backend;
  char reason[kPluginTextBytes] = "";
  const Status status = plugin().create(index, &backend, reason);
  GRAFT_CHECK(status == Status::ok, "cuda:{} cannot be used: {}", index, reason[0] != '\0' ? reason : name_of(status));
  const auto missing = std::count(std::begin(backend.run), std::end(backend.run), nullptr);
  if (missing > 0 || backend.compile.describe == nullptr) {
    backend.destroy(backend.self);
    fail("cuda:{} cannot be used: this plug-in has kernels for {} of {} primitives, and a network needs all", index,
         kPrimitiveCount - missing, kPrimitiveCount);
  }
  return Device::create(backend);
}

}  // namespace graft
