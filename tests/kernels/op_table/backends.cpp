#include "tests/kernels/op_table/backends.h"

#include "core/error.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/reference/reference_backend.h"

namespace graft::test {
namespace {

// Three threads on any machine, so that shares are uneven. `unsupported` where the processor, or GRAFT_MAX_ISA, stops
// short of the instruction set.
BackendUnderTest cpu(CpuIsa isa, const std::string& word, int threads) {
  return {.name = "cpu " + word + ", " + std::to_string(threads) + (threads == 1 ? " thread" : " threads"),
          .create =
              [=](Backend* backend) {
                const CpuOptions options{.threads = threads, .max_isa = isa};
                const Status status = graft_cpu_backend(&options, backend);
                if (status != Status::ok || cpu_isa_of(*backend) == isa) return status;
                backend->destroy(backend->self);
                return Status::unsupported;
              },
          .dtypes = {DType::f32},
          .same_bits = "cpu " + word,
          .needs = word};
}

}  // namespace

const std::vector<BackendUnderTest>& backends_under_test() {
  static const std::vector<BackendUnderTest> list = {
      {.name = "reference",
       .create = [](Backend* backend) { return graft_reference_backend(backend); },
       .dtypes = {DType::f32, DType::f64},
       .same_bits = ""},
      cpu(CpuIsa::sse4, "sse4", 1),
      cpu(CpuIsa::sse4, "sse4", 2),
      cpu(CpuIsa::sse4, "sse4", 3),
      cpu(CpuIsa::avx2, "avx2", 1),
      cpu(CpuIsa::avx2, "avx2", 2),
      cpu(CpuIsa::avx2, "avx2", 3),
      cpu(CpuIsa::avx512, "avx512", 1),
      cpu(CpuIsa::avx512, "avx512", 2),
      cpu(CpuIsa::avx512, "avx512", 3),
  };
  return list;
}

const Backend& reference_backend() {
  static const Backend backend = [] {
    Backend made;
    if (const Status status = graft_reference_backend(&made); status != Status::ok)
      fail("the reference backend cannot be made: {}", name_of(status));
    return made;
  }();
  return backend;
}

}  // namespace graft::test
