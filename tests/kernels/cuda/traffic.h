// How much memory traffic each kernel makes, from the addresses it touches: the committed table of what is allowed.
//
//   per access   sectors a warp's loads or stores request over the fewest that hold the bytes used; 1: coalesced
//   reuse        distinct sectors of each block, summed, over those of the grid; 1: nothing is read by two blocks
//   conflicts    passes of a warp through shared memory beyond the fewest, where a kernel's tiles are noted; none
//   passes       sectors of the whole call over those of its tensors, each counted once: how often the tensors move
#pragma once
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>

#include "kernels/cuda/cuda_backend.h"
#include "tests/cuda_on_host/access_log.h"
#include "tests/cuda_on_host/control.h"
#include "tests/kernels/op_table/call.h"
#include "tests/kernels/op_table/op_case.h"

namespace graft::test {

inline constexpr double kStream = 1.05;

struct Allowed {
  const char* kernel;                                         // how the demangled name begins, after the namespace
  double loads = kStream, stores = kStream, reuse = kStream;  // reuse: of what is loaded
  double store_reuse = kStream;                               // results shorter than a sector
  bool tiles = false;                                         // notes what it asks of shared memory
};

struct Measured {
  std::map<std::string, cuda_on_host::KernelAccesses> kernels;
  double passes = 0;
};

// Runs one call of `args`, whose views have shapes and types but no memory, on tensors of ones; those of i64 hold
// `numbers` if there are some.
template <typename Args>
Measured measure(Args args, const std::vector<int64_t>& numbers = {}) {
  cuda_on_host::reset();
  Backend backend;
  REQUIRE(cuda::make_backend(0, &backend) == Status::ok);
  const auto allocate = [&](int64_t bytes) {
    void* memory = nullptr;
    REQUIRE(backend.device.allocate(backend.self, bytes, &memory) == Status::ok);
    return memory;
  };
  double tensor_sectors = 0;
  for (int i = 0; i < Args::kRoles.total(); ++i) {
    TensorView& view = views_of(&args)[i];
    if (!view.present()) continue;
    view.data = allocate(view.bytes());
    const std::vector<float> ones(static_cast<size_t>(view.bytes() + 3) / 4, 1);
    const bool given = view.dtype == DType::i64 && !numbers.empty();
    const void* contents = given ? static_cast<const void*>(numbers.data()) : ones.data();
    REQUIRE(backend.device.copy(backend.self, nullptr, view.data, contents, view.bytes(), CopyKind::host_to_device) ==
            Status::ok);
    REQUIRE(backend.device.synchronize(backend.self, nullptr) == Status::ok);
    const int64_t sectors = (view.bytes() + 31) / 32;
    tensor_sectors += static_cast<double>(sectors);
  }
  constexpr auto primitive = primitive_of<Args>;
  const int64_t bytes = backend.workspace_bytes(backend.self, primitive, &args);
  CallContext call{.self = backend.self, .workspace = allocate(bytes), .workspace_bytes = bytes};
  Measured measured;
  {
    const cuda_on_host::AccessLog log;
    REQUIRE(backend.run[static_cast<int>(primitive)](&call, &args) == Status::ok);
    REQUIRE(backend.device.synchronize(backend.self, nullptr) == Status::ok);
    measured.kernels = log.report();
  }
  for (const auto& [name, k] : measured.kernels)
    measured.passes += static_cast<double>(k.loads.sectors_of_grid + k.stores.sectors_of_grid) / tensor_sectors;
  backend.destroy(backend.self);
  cuda_on_host::reset();
  return measured;
}

// GRAFT_SHOW=1 prints the table.
template <typename... Args>
void show(fmt::format_string<Args...> format, Args&&... args) {
  if (std::getenv("GRAFT_SHOW") != nullptr) fmt::print(format, std::forward<Args>(args)...);
}

inline void check(const Measured& measured, double passes, std::initializer_list<Allowed> allowed) {
  CHECK(measured.kernels.size() == allowed.size());
  for (const auto& [name, k] : measured.kernels) {
    const std::string begin = name.substr(name.find("cuda::") + 6);
    const auto row =
        std::find_if(allowed.begin(), allowed.end(), [&](const Allowed& a) { return begin.starts_with(a.kernel); });
    INFO(begin);
    REQUIRE(row != allowed.end());
    CHECK(k.loads.per_access() <= row->loads);
    CHECK(k.stores.per_access() <= row->stores);
    CHECK(k.loads.reuse() <= row->reuse);
    CHECK(k.stores.reuse() <= row->store_reuse);
    CHECK(k.bank_conflicts == 0);
    CHECK((k.shared_accesses > 0) == row->tiles);
    show("{:<46} per access {:.3f} loads, {:.3f} stores; reuse {:.3f}; conflicts {}\n",
         begin.substr(0, begin.find('(')).substr(0, 46), k.loads.per_access(), k.stores.per_access(), k.loads.reuse(),
         k.bank_conflicts);
  }
  show("  passes {:.3f}, at most {:.3f}\n", measured.passes, passes * kStream);
  CHECK(measured.passes <= passes * kStream);
  CHECK(measured.passes >= passes / kStream);  // a bound that no longer says anything is tightened
}

inline TensorView floats(const Shape& shape) { return {nullptr, shape, DType::f32}; }
inline TensorView halves(const Shape& shape) { return {nullptr, shape, DType::bf16}; }

}  // namespace graft::test
