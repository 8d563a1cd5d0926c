// cuDNN and cuBLASLt are found where people have them: here a library of another name, in made-up places.
#include "kernels/cuda/library_places.h"

#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace graft::test {

namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "libgraft_stub_library.so.9";

// Environment variables for the length of a scope; those of the search that are not named are unset.
class Environment {
 public:
  explicit Environment(const std::vector<std::pair<std::string, std::string>>& wanted) {
    for (const char* name : kNames) {
      const char* before = std::getenv(name);
      before_.emplace_back(before ? std::optional<std::string>(before) : std::nullopt);
      unsetenv(name);
    }
    for (const auto& [name, value] : wanted) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    for (size_t i = 0; i < before_.size(); ++i)
      before_[i] ? setenv(kNames[i], before_[i]->c_str(), 1) : unsetenv(kNames[i]);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  static constexpr const char* kNames[] = {"GRAFT_CUDA_LIBRARIES", "VIRTUAL_ENV", "CONDA_PREFIX", "PATH", "HOME"};
  std::vector<std::optional<std::string>> before_;
};

// Where it was found; empty: nowhere.
std::string found_in(const std::vector<std::pair<std::string, std::string>>& environment) {
  const Environment set(environment);
  char path[kPluginTextBytes] = "";
  void* library = cuda::open_from_places(kFile, path);
  if (library == nullptr) return "";
  CHECK(dlsym(library, "graft_stub_library") != nullptr);
  dlclose(library);
  return path;
}

}  // namespace

TEST_CASE("libraries are found in the folders of wheels, wherever the Python is") {
  const TemporaryFolder folder;
  const auto put = [&](const fs::path& relative) {
    fs::create_directories(folder / relative);
    fs::copy_file(GRAFT_STUB_LIBRARY, folder / relative / kFile);
    return (folder / relative / kFile).string();
  };
  const std::string at = folder.path().string();
  const auto named = put("named"), venv = put("venv/lib/python3.12/site-packages/nvidia/cu13/lib"),
             debian = put("debian/lib/python3/dist-packages/nvidia/cudnn/lib"),
             home = put("user/.local/lib/python3.9/site-packages/nvidia/cublas/lib");
  fs::create_directories(folder / "debian/bin");
  fs::copy_file(GRAFT_STUB_LIBRARY, folder / "debian/bin/python3");

  CHECK(found_in({}).empty());
  CHECK(found_in({{"GRAFT_CUDA_LIBRARIES", "/nowhere::" + at + "/named"}, {"VIRTUAL_ENV", at + "/venv"}}) == named);
  CHECK(found_in({{"VIRTUAL_ENV", at + "/venv"}, {"HOME", at + "/user"}}) == venv);
  CHECK(found_in({{"CONDA_PREFIX", at + "/venv"}}) == venv);
  CHECK(fs::equivalent(found_in({{"PATH", "/nowhere:" + at + "/venv:" + at + "/debian/bin"}}), debian));
  CHECK(found_in({{"PATH", at + "/venv"}}).empty());  // no python3 there
  CHECK(found_in({{"HOME", at + "/user"}}) == home);
  CHECK(found_in({{"VIRTUAL_ENV", at + std::string(2000, 'x')}}).empty());
}

}  // namespace graft::test
