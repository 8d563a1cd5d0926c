#include "kernels/cuda/library_places.h"

#include <dlfcn.h>
#include <glob.h>
#include <link.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace graft::cuda {

namespace {

constexpr int kPathBytes = 1024;

void* open_path(const char* file, char path[kPluginTextBytes]) {
  void* library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  link_map* opened = nullptr;
  if (library != nullptr && dlinfo(library, RTLD_DI_LINKMAP, &opened) == 0)
    std::snprintf(path, kPluginTextBytes, "%.250s", opened->l_name);
  return library;
}

// The first match of a shell pattern that can be opened.
void* open_match(const char* pattern, char path[kPluginTextBytes]) {
  glob_t found{};
  void* library = nullptr;
  if (glob(pattern, 0, nullptr, &found) == 0)
    for (size_t i = 0; library == nullptr && i < found.gl_pathc; ++i) library = open_path(found.gl_pathv[i], path);
  globfree(&found);
  return library;
}

// Among the packages of a Python below `prefix`. Debian's lie in dist-packages.
void* open_wheel(const char* prefix, const char* file, char path[kPluginTextBytes]) {
  char pattern[kPathBytes];
  for (const char* packages : {"site-packages", "dist-packages"}) {
    const int length =
        std::snprintf(pattern, sizeof pattern, "%s/lib/python3*/%s/nvidia/*/lib/%s", prefix, packages, file);
    if (length >= static_cast<int>(sizeof pattern)) return nullptr;
    if (void* library = open_match(pattern, path)) return library;
  }
  return nullptr;
}

// Calls `open` with each folder of a list such as PATH, until it returns something.
template <typename Open>
void* in_each(const char* folders, Open open) {
  while (folders != nullptr && *folders != '\0') {
    const char* end = std::strchr(folders, ':');
    const auto length = end != nullptr ? static_cast<size_t>(end - folders) : std::strlen(folders);
    char folder[kPathBytes];
    if (length > 0 && length < sizeof folder) {
      std::snprintf(folder, sizeof folder, "%.*s", static_cast<int>(length), folders);
      if (void* library = open(folder)) return library;
    }
    folders = end != nullptr ? end + 1 : nullptr;
  }
  return nullptr;
}

void* in_environment(const char* variable, const char* below, const char* file, char path[kPluginTextBytes]) {
  const char* root = std::getenv(variable);
  char prefix[kPathBytes];
  if (root == nullptr || *root == '\0' ||
      std::snprintf(prefix, sizeof prefix, "%s%s", root, below) >= static_cast<int>(sizeof prefix))
    return nullptr;
  return open_wheel(prefix, file, path);
}

}  // namespace

void* open_from_places(const char* file, char path[kPluginTextBytes]) {
  const auto beside = [&](const char* folder) -> void* {
    char full[kPathBytes];
    const int length = std::snprintf(full, sizeof full, "%s/%s", folder, file);
    return length < static_cast<int>(sizeof full) ? open_path(full, path) : nullptr;
  };
  // PREFIX/bin/python3 has its packages in PREFIX/lib, in a virtual environment too.
  const auto of_python = [&](const char* folder) -> void* {
    char match[kPathBytes];
    const int length = std::snprintf(match, sizeof match, "%s/python3", folder);
    if (length >= static_cast<int>(sizeof match)) return nullptr;
    glob_t found{};
    const bool is_there = glob(match, 0, nullptr, &found) == 0;
    globfree(&found);
    if (!is_there) return nullptr;
    std::memcpy(match + length - std::strlen("python3"), "..", 3);
    return open_wheel(match, file, path);
  };
  void* library = in_each(std::getenv("GRAFT_CUDA_LIBRARIES"), beside);
  if (library == nullptr) library = open_path(file, path);
  if (library == nullptr) library = in_each("/usr/local/cuda/lib64:/usr/local/cuda/lib", beside);
  if (library == nullptr) library = in_environment("VIRTUAL_ENV", "", file, path);
  if (library == nullptr) library = in_environment("CONDA_PREFIX", "", file, path);
  if (library == nullptr) library = in_each(std::getenv("PATH"), of_python);
  if (library == nullptr) library = in_environment("HOME", "/.local", file, path);
  if (library == nullptr) library = open_wheel("/usr/local", file, path);
  if (library == nullptr) library = open_wheel("/usr", file, path);
  if (library == nullptr) return dlopen(file, RTLD_NOW | RTLD_LOCAL);  // for what dlerror() then says
  return library;
}

}  // namespace graft::cuda
