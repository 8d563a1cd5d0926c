#include "kernels/cuda/libraries.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

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

// First where GRAFT_CUDA_LIBRARIES says (folders, separated by colons), then where the system looks.
void* open_file(const char* file, char path[kPluginTextBytes]) {
  const char* folders = std::getenv("GRAFT_CUDA_LIBRARIES");
  while (folders != nullptr && *folders != '\0') {
    const char* end = std::strchr(folders, ':');
    const int length = static_cast<int>(end != nullptr ? end - folders : std::strlen(folders));
    std::snprintf(path, kPluginTextBytes, "%.*s/%s", length, folders, file);
    if (void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL)) return library;
    folders = end != nullptr ? end + 1 : nullptr;
  }
  std::snprintf(path, kPluginTextBytes, "%s", file);
  return dlopen(file, RTLD_NOW | RTLD_LOCAL);
}

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
  void* library = open_file(wanted.file, path);
  if (library == nullptr) {
    const char* why = dlerror();
    if (void* other = open_file(wanted.unversioned, path); other != nullptr) {
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
  std::snprintf(r.text, sizeof r.text, "%zu.%zu.%zu", version / scale, version % scale / 100, version % 100);
  return library;
}

}  // namespace

void* open_cudnn(PluginLibrary* report) { return open_library(kCudnn, report); }
void* open_cublaslt(PluginLibrary* report) { return open_library(kCublasLt, report); }

}  // namespace graft::cuda
