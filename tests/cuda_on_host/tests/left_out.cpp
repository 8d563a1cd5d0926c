#include <catch2/catch.hpp>

#include "tests/support/test_data.h"

TEST_CASE("the CUDA kernels run on the host") { graft::test::skip("cuda_on_host", GRAFT_NO_CUDA_ON_HOST); }
