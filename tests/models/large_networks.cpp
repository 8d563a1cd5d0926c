// The networks that take their time.
#include "tests/models/network_check.h"

using namespace graft::test;

TEST_CASE("resnet18 on the reference equals PyTorch") { check_network("resnet18", reference_device()); }
TEST_CASE("resnet50 on the reference equals PyTorch", "[.full]") { check_network("resnet50", reference_device()); }
TEST_CASE("efficientnet_b0 on the reference equals PyTorch", "[.full]") {
  check_network("efficientnet_b0", reference_device());
}
TEST_CASE("in f64 the reference is PyTorch's f64, larger networks", "[.full]") {
  for (const char* name : {"resnet18", "resnet50", "efficientnet_b0"})
    check_network(name, reference_device(), graft::DType::f64);
}
GRAFT_NETWORK_TEST("resnet18")
GRAFT_NETWORK_TEST("resnet50")
GRAFT_NETWORK_TEST("vgg11_bn")
GRAFT_NETWORK_TEST("vgg16")
GRAFT_NETWORK_TEST("efficientnet_b0")
GRAFT_NETWORK_TEST("efficientnet_b3")
