// In the place of the tests that call cuBLASLt, where its header is missing.
#include <catch2/catch.hpp>

#include "tests/support/test_data.h"

TEST_CASE("cuBLASLt is called without a GPU") {
  graft::test::skip("cublaslt", "its header or CUDA's were not found when the tests were built");
}
