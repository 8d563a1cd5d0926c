// What the tests of bench share.
#pragma once
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "bench/device_call.h"
#include "bench/operations.h"
#include "core/error.h"
#include "kernels/reference/reference_backend.h"

namespace graft::test {

inline void write_text(const std::filesystem::path& file, const std::string& text) { std::ofstream(file) << text; }

// A device whose every kernel is plain loops: fast enough for what is tested here, and without threads.
inline std::shared_ptr<Device> plain_device() {
  Backend backend;
  if (graft_reference_backend(&backend) != Status::ok) throw InternalError("no reference backend");
  return Device::create(backend);
}

inline bench::KernelCase case_named(const std::string& line, const std::string& pass = "forward") {
  for (const bench::KernelCase& c : bench::cases_of(line, DType::f32))
    if (c.pass == pass) return c;
  throw InternalError(line + " has no pass " + pass);
}

}  // namespace graft::test
