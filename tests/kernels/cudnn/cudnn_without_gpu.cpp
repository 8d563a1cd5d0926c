#include "tests/kernels/cudnn/cudnn_without_gpu.h"

#include <dlfcn.h>

#include <fstream>
#include <iterator>

#include "contract/plugin.h"
#include "core/error.h"
#include "kernels/cuda/libraries.h"
#include "tests/support/test_data.h"

namespace graft::test {

// cuDNN looks for libcuda.so.1, and the dynamic linker gives it what is loaded under that name.
const cuda::Cudnn* need_cudnn() {
  static void* const driver = dlopen(GRAFT_STUB_DRIVER, RTLD_NOW | RTLD_GLOBAL);
  if (driver == nullptr) fail("the stub driver cannot be opened: {}", dlerror());
  const cuda::Cudnn* api = cuda::cudnn();
  if (api == nullptr) {
    PluginLibrary report;
    const bool opens = cuda::open_cudnn(&report) != nullptr;
    skip("cudnn", opens ? "a function of it is missing" : report.text);
  }
  return api;
}

std::string device_properties(const std::string& name) {
  const std::string path = std::string(GRAFT_SOURCE_DIR) + "/tests/kernels/cudnn/devices/" + name + ".json";
  std::ifstream file(path);
  GRAFT_CHECK(file.good(), "{} cannot be read", path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string version_of(const cuda::Cudnn& api) {
  const size_t version = api.cudnnGetVersion();
  return fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}

}  // namespace graft::test
