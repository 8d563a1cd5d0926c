#include "bench/user_kernel.h"

#include <dlfcn.h>

#include <filesystem>

#include "core/error.h"
#include "graft/kernel.h"

namespace graft::bench {

UserKernel::UserKernel(const std::string& library_and_symbol, DeviceEntrant& device) : device_(device) {
  const size_t colon = library_and_symbol.rfind(':');
  GRAFT_CHECK(colon != std::string::npos && colon > 0 && colon + 1 < library_and_symbol.size(),
              "\"{}\" names no kernel; write LIB.so:SYMBOL", library_and_symbol);
  const std::filesystem::path file = library_and_symbol.substr(0, colon);
  const std::string symbol = library_and_symbol.substr(colon + 1);
  // With a slash in its name the library is this file, and is not looked for elsewhere. It stays open until the end.
  void* library = dlopen(std::filesystem::absolute(file).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) fail("cannot open {}: {}", file.string(), dlerror());
  const auto* info = static_cast<const KernelInfo*>(dlsym(library, (symbol + "_info").c_str()));
  function_ = reinterpret_cast<KernelFunction>(dlsym(library, symbol.c_str()));
  GRAFT_CHECK(function_, "{} has no symbol {}; is the function declared extern \"C\"?", file.string(), symbol);
  GRAFT_CHECK(info, "{} does not say what {} computes; write GRAFT_KERNEL({}) behind the function (graft/kernel.h)",
              file.string(), symbol, symbol);
  const bool known = info->bytes == sizeof(KernelInfo) && info->contract_version == kContractVersion &&
                     info->primitive_count == kPrimitiveCount && static_cast<int>(info->primitive) >= 0 &&
                     static_cast<int>(info->primitive) < kPrimitiveCount &&
                     info->args_bytes == info_of(info->primitive).args_bytes;
  GRAFT_CHECK(known, "{} was compiled against another version of graft; compile it with this version's headers",
              file.string());
  primitive_ = info->primitive;
  by_ = file.filename().string() + ":" + symbol;
}

std::unique_ptr<Contestant> UserKernel::enter(const KernelCase& c) {
  return c.primitive == primitive_ ? device_.enter(c, function_, by_) : nullptr;
}

}  // namespace graft::bench
