// The names and shapes inside the published weight files, where they are at hand.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <set>

#include "core/error.h"
#include "io/torch/torch_file.h"
#include "models/registry.h"
#include "tests/support/test_data.h"

using namespace graft;
using namespace graft::models;

namespace {

using Lines = std::set<std::string>;  // "conv1.weight [64, 3, 7, 7]"

Lines lines_of(const std::filesystem::path& file) {
  Lines lines;
  const auto reader = io::open_torch_file(file);
  for (const io::TensorEntry& entry : reader->tensors())
    if (!entry.name.ends_with(".num_batches_tracked"))
      lines.insert(fmt::format("{} [{}]", entry.name, fmt::join(entry.shape, ", ")));
  return lines;
}

Lines lines_of(const Graph& graph) {
  Lines lines;
  for (const Parameter& p : parameters_of(graph)) lines.insert(fmt::format("{} {}", p.name, p.shape));
  return lines;
}

}  // namespace

TEST_CASE("published weights hold exactly the tensors of their network") {
  const std::pair<const char*, const char*> files[] = {
      {"efficientnet_lite0/efficientnet-lite0-57934424.pth", "efficientnet_lite0"},
      {"resnet_cifar10/resnet20-12fca82f.th", "resnet20"},
      {"resnet_cifar10/resnet32-d509ac18.th", "resnet32"},
  };
  for (const auto& [file, name] : files) {
    CAPTURE(name);
    const auto path = test::need_data(file);
    if (path.empty()) return;
    CHECK(lines_of(path) == lines_of(make_model(name)));
  }
}
