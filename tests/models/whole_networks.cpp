// The networks that are quick: also under the sanitizers.
#include "tests/models/network_check.h"

using namespace graft::test;

TEST_CASE("resnet20 on the reference equals PyTorch") { check_network("resnet20", reference_device()); }
GRAFT_NETWORK_TEST("resnet20")
GRAFT_NETWORK_TEST("efficientnet_lite0")
