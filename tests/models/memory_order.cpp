#include <catch2/catch.hpp>
#include <numeric>

#include "core/device.h"
#include "models/builder.h"
#include "models/network.h"
#include "tests/models/piece_support.h"

using namespace graft;
using namespace graft::models;

TEST_CASE("weights are set and got in the file's order and lie in memory's") {
  Builder g("orders");
  NodeId x = g.conv("conv", g.input(4, 4, 2), 3, 2);
  g.output(g.depthwise("depthwise", x, 2));
  Network network(g.finish(), test::reference_device());

  std::vector<float> file(24);
  std::iota(file.begin(), file.end(), 0.f);
  network.set("conv.weight", file);  // [3, 2, 2, 2]: filter, channel, row, column; channels last in memory
  CHECK(network.entry("conv.weight").tensor.to_vector<float>() ==
        std::vector<float>{0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15, 16, 20, 17, 21, 18, 22, 19, 23});
  CHECK(network.get("conv.weight") == file);

  file.resize(12);
  network.set("depthwise.weight", file);  // [3, 1, 2, 2]; in memory row, column, channel
  CHECK(network.entry("depthwise.weight").tensor.to_vector<float>() ==
        std::vector<float>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
  CHECK(network.get("depthwise.weight") == file);
}
