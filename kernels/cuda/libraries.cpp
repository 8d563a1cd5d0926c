#include "kernels/cuda/libraries.h"

#include <dlfcn.h>

#include <cstdio>

#include "kernels/cuda/library_places.h"

namespace graft::cuda {

namespace {

// What the plug-in was written against. Within a major version later minor ones keep the interface.
struct Wanted {
  const char* name;
  const char* file;         // with the major version in it
  const char* unversioned;  // found only where no file of the right name is: to say which version is there instead
  const char* version_function;
  int major;
  int scale;  // version = major · scale + …
};
constexpr Wanted kCudnn = {"cuDNN", "libcudnn.so.9", "libcudnn.so", "cudnnGetVersion", 9, 10000};
constexpr Wanted kCublasLt = {"cuBLASLt", "libcublasLt.so.13", "libcublasLt.so", "cublasLtGetVersion", 13, 10000};

size_t version_of(void* library, const Wanted& wanted) {
  const auto function = reinterpret_cast<size_t (*)()>(dlsym(library, wanted.version_function));
  return function != nullptr ? function() : 0;
}

// Opened once and never closed: handles that were made with it outlive any one backend.
void* open_library(const Wanted& wanted, PluginLibrary* report) {
  PluginLibrary unused;
  PluginLibrary& r = report != nullptr ? *report : unused;
  r.name = wanted.name;
  r.usable = 0;
  char path[kPluginTextBytes] = "";
  void* library = open_from_places(wanted.file, path);
  if (library == nullptr) {
    const char* why = dlerror();
    if (void* other = open_from_places(wanted.unversioned, path); other != nullptr) {
      std::snprintf(r.text, sizeof r.text, "version %zu is here, graft needs %d.x; its own kernels serve",
                    version_of(other, wanted) / static_cast<size_t>(wanted.scale), wanted.major);
      dlclose(other);
    } else {
      std::snprintf(r.text, sizeof r.text, "%.120s; graft's own kernels serve", why != nullptr ? why : "not found");
    }
    return nullptr;
  }
  const size_t version = version_of(library, wanted), scale = static_cast<size_t>(wanted.scale);
  if (version / scale != static_cast<size_t>(wanted.major)) {
    std::snprintf(r.text, sizeof r.text, "%.120s is version %zu, graft needs %d.x; its own kernels serve", path,
                  version / scale, wanted.major);
    dlclose(library);
    return nullptr;
  }
  r.usable = 1;
  std::snprintf(r.text, sizeof r.text, "%zu.%zu.%zu (%.200s)", version / scale, version % scale / 100, version % 100,
                path);
  return library;
}

}  // namespace

void* open_cudnn(PluginLibrary* report) { return open_library(kCudnn, report); }
void* open_cublaslt(PluginLibrary* report) { return open_library(kCublasLt, report); }

}  // namespace graft::cuda
