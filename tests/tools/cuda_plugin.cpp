// `graft devices` and --device cuda where something is missing or wrong: a driver and plug-ins made for it (stubs/).
#include <catch2/catch.hpp>

#include "tests/support/temporary_folder.h"
#include "tests/tools/fixtures.h"
#include "tests/tools/program.h"

namespace graft::test {

namespace {

using Catch::Contains;

// What is said of each device and library when the driver is a stub and the plug-in that file.
std::map<std::string, nlohmann::json> devices_with(const std::string& plugin,
                                                   const std::string& driver = GRAFT_STUB_DRIVER) {
  const auto run =
      run_graft({"devices", "--json"}, {.environment = {"LD_LIBRARY_PATH=" + driver, "GRAFT_CUDA_PLUGIN=" + plugin}});
  INFO(run.err);
  REQUIRE(run.code == 0);
  std::map<std::string, nlohmann::json> found;
  for (const auto& line : lines_of(run.out)) found[line.value("device", line.value("library", ""))] = line;
  CHECK(found.at("cpu")["usable"] == true);
  CHECK(found.at("reference")["usable"] == true);
  return found;
}
std::string stub(int kind) { return GRAFT_STUB_PLUGINS + std::to_string(kind) + ".so"; }

void check_reason(const nlohmann::json& line, const std::string& reason) {
  CHECK(line["usable"] == false);
  CHECK_THAT(line["what"].get<std::string>(), Contains(reason));
}

}  // namespace

TEST_CASE("what keeps a GPU from being used is said, and the CPU is usable all the same") {
  const TemporaryFolder folder;
  check_reason(devices_with((folder / "none.so").string()).at("cuda"), "CUDA plug-in is not here (looked for");
  write_text(folder / "text.so", "no library");
  check_reason(devices_with((folder / "text.so").string()).at("cuda"), "CUDA plug-in cannot be opened: ");
  check_reason(devices_with(stub(0)).at("cuda"), "is no plug-in of graft");
  check_reason(devices_with(stub(1)).at("cuda"), "was built from another version of graft");
  check_reason(devices_with(stub(2)).at("cuda"), "update the driver");
  check_reason(devices_with(stub(2)).at("cuDNN"), "its own kernels serve");
  check_reason(devices_with(stub(3)).at("cuda:0"), "compute capability 5.2 is too old");
  check_reason(devices_with(stub(4)).at("cuda:0"), "kernels for 0 of");
}

TEST_CASE("a GPU that cannot be used ends the command, with the reason, and nothing takes its place") {
  const TemporaryFolder folder;
  write_tiny_model(folder / "tiny.h5", {"a", "b"});
  write_png(folder / "a.png", 16, {1, 2, 3}, 0);
  const auto predict = [&](const std::string& device) {
    return run_graft(
        {"predict", (folder / "tiny.h5").string(), (folder / "a.png").string(), "--device", device},
        {.environment = {std::string("LD_LIBRARY_PATH=") + GRAFT_STUB_DRIVER, "GRAFT_CUDA_PLUGIN=" + stub(3)}});
  };
  for (const char* device : {"cuda", "cuda:0", "cuda:7"}) {
    const auto run = predict(device);
    CHECK(run.code == 1);
    CHECK_THAT(run.err, Contains("cannot be used"));
    CHECK(run.out.empty());
  }
  CHECK_THAT(predict("cuda:7").err, Contains("cuda:7 cannot be used: there is no device 7"));
  for (const char* device : {"cuda:", "cuda:x", "cuda:-1", "gpu"}) {
    const auto run = predict(device);
    CHECK(run.code == 2);
    CHECK_THAT(run.err, Contains(std::string(device) + " is not one of auto, cpu, reference, cuda, cuda:N"));
  }
  CHECK(predict("auto").code == 0);
}

TEST_CASE("without a driver no plug-in is opened") {
  const auto run = run_graft({"devices", "--json"}, {.environment = {"GRAFT_CUDA_PLUGIN=" + stub(4)}});
  CHECK(run.code == 0);
  if (run.out.find("there is no NVIDIA driver") == run.out.npos)
    CHECK_THAT(run.out, Contains("kernels for 0 of"));  // a machine that has one
}

}  // namespace graft::test
