#include "tests/kernels/op_table/backends.h"

#include "core/error.h"
#include "kernels/reference/reference_backend.h"

namespace graft::test {

const std::vector<BackendUnderTest>& backends_under_test() {
  static const std::vector<BackendUnderTest> list = {
      {.name = "reference",
       .create = [](Backend* backend) { return graft_reference_backend(backend); },
       .dtypes = {DType::f32, DType::f64},
       .same_bits = ""},
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
