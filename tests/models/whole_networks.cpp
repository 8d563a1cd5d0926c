// The networks that are quick: also under the sanitizers.
#include "tests/models/network_check.h"

using namespace graft::test;

TEST_CASE("resnet20 on the reference equals PyTorch") { check_network("resnet20", reference_device()); }
TEST_CASE("in f64 the reference is PyTorch's f64") {
  for (const char* name : {"resnet20", "efficientnet_lite0"})
    check_network(name, reference_device(), graft::DType::f64);
}
GRAFT_NETWORK_TEST("resnet20")
GRAFT_NETWORK_TEST("efficientnet_lite0")
