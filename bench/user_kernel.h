// A kernel of the user's, out of a shared library: graft/kernel.h says how it is written.
#pragma once
#include <memory>
#include <string>

#include "bench/device_call.h"

namespace graft::bench {

class UserKernel final : public Entrant {
 public:
  // "LIB.so:SYMBOL". Throws Error for a library that cannot be opened, a symbol it does not have, one without
  // GRAFT_KERNEL, one compiled against another version of graft. The code of the library runs in this process.
  UserKernel(const std::string& library_and_symbol, DeviceEntrant& device);

  std::string by() const override { return by_; }
  Primitive primitive() const { return primitive_; }
  std::unique_ptr<Contestant> enter(const KernelCase&) override;

 private:
  DeviceEntrant& device_;
  std::string by_;
  Primitive primitive_ = {};
  KernelFunction function_ = nullptr;
};

}  // namespace graft::bench
