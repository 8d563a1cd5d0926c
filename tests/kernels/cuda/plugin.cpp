// The plug-in's table: which devices there are, and why one cannot be used.
#include "contract/plugin.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "kernels/cuda/libraries.h"
#include "tests/cuda_on_host/control.h"

extern "C" const graft::Plugin* graft_plugin();

namespace graft::test {

TEST_CASE("the plug-in says what it was built from, and lists its device") {
  cuda_on_host::reset();
  const Plugin& plugin = *graft_plugin();
  CHECK(plugin.abi_hash == kAbiHash);
  CHECK(std::string(plugin.version) == GRAFT_VERSION);
  char reason[kPluginTextBytes] = "";
  int32_t devices = 0;
  REQUIRE(plugin.count(&devices, reason) == Status::ok);
  REQUIRE(devices >= 1);
  PluginDevice device;
  REQUIRE(plugin.describe(0, &device) == Status::ok);
  CHECK(std::string(device.name) != "");
  CHECK(std::string(device.reason) == "");
  CHECK(device.compute_capability >= 80);
  CHECK(device.memory_bytes > 0);

  Backend backend;
  REQUIRE(plugin.create(0, &backend, reason) == Status::ok);
  CHECK(std::string(backend.name) == "cuda");
  backend.destroy(backend.self);
}

TEST_CASE("a driver that is too old is named, with what it would take") {
  cuda_on_host::reset();
  cuda_on_host::plant({.no_driver = true});
  char reason[kPluginTextBytes] = "";
  int32_t devices = -1;
  CHECK(graft_plugin()->count(&devices, reason) == Status::device_error);
  CHECK(devices == 0);
  CHECK_THAT(reason, Catch::Contains("update the driver"));
  Backend backend;
  CHECK(graft_plugin()->create(0, &backend, reason) == Status::device_error);
  cuda_on_host::reset();
}

TEST_CASE("a cuDNN or cuBLASLt of another major version is not used, and its version is said") {
  REQUIRE(setenv("GRAFT_CUDA_LIBRARIES", GRAFT_STUB_LIBRARIES, 1) == 0);
  PluginLibrary cudnn, cublaslt;
  CHECK(cuda::open_cudnn(&cudnn) == nullptr);
  CHECK(cuda::open_cublaslt(&cublaslt) == nullptr);
  unsetenv("GRAFT_CUDA_LIBRARIES");
  CHECK(cudnn.usable == 0);
  CHECK_THAT(cudnn.text, Catch::Contains("libcudnn.so.9 is version 8, graft needs 9.x; its own kernels serve"));
  CHECK(cublaslt.usable == 0);
  CHECK_THAT(cublaslt.text,
             Catch::Contains("libcublasLt.so.13 is version 12, graft needs 13.x; its own kernels serve"));
}

TEST_CASE("a device number beyond the last is refused") {
  cuda_on_host::reset();
  char reason[kPluginTextBytes] = "";
  Backend backend;
  CHECK(graft_plugin()->create(99, &backend, reason) == Status::invalid_argument);
  CHECK_THAT(reason, Catch::Contains("there is no device 99"));
}

}  // namespace graft::test
