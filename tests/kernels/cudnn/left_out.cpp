// In the place of the tests that ask cuDNN, where its headers are missing.
#include <catch2/catch.hpp>

#include "tests/support/test_data.h"

TEST_CASE("cuDNN is asked without a GPU") {
  graft::test::skip("cudnn", "its headers or CUDA's were not found when the tests were built");
}
