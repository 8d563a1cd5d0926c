#include "models/recognise.h"

#include <catch2/catch.hpp>

#include "core/error.h"
#include "models/registry.h"

using namespace graft;
using namespace graft::models;
using Catch::Matchers::Contains;

namespace {

std::vector<NamedShape> tensors_of(const Graph& graph) {
  std::vector<NamedShape> tensors;
  for (const Parameter& p : parameters_of(graph))
    tensors.push_back({p.name, {p.shape.extents, p.shape.extents + p.shape.rank}});
  return tensors;
}

}  // namespace

TEST_CASE("every network is recognised by its tensors, whatever its number of classes") {
  for (const Model& model : all_models()) {
    CAPTURE(model.name);
    auto tensors = tensors_of(make_model(model.name, 37));
    tensors.push_back({"bn1.num_batches_tracked", {}});
    const auto fit = recognise(tensors);
    REQUIRE(fit);
    CHECK(fit->model == model.name);
    CHECK(fit->classes == 37);
    CHECK(graph_for(tensors, "x.pth") == make_model(model.name, 37));
  }
}

TEST_CASE("a file for another network is an error that says which it is") {
  CHECK_THROWS_WITH(
      graph_for(tensors_of(make_model("resnet50")), "resnet50.pth", "resnet18"),
      "cannot use resnet50.pth as resnet18\n"
      "  layer1.0.conv1.weight is [64, 64, 1, 1] in the file, resnet18 needs [64, 64, 3, 3]   (and 23 more)\n"
      "  layer1.0.conv3.weight is in the file, resnet18 has no such parameter                 (and 164 more)\n"
      "  the tensors fit resnet50: use --arch resnet50, or leave --arch out to have it recognised");
  CHECK_THROWS_WITH(graph_for(tensors_of(make_model("resnet18")), "r.pth", "resnet34"),
                    "cannot use r.pth as resnet34\n"
                    "  layer1.2.conv1.weight is not in the file, resnet34 needs it   (and 79 more)\n"
                    "  the tensors fit resnet18: use --arch resnet18, or leave --arch out to have it recognised");
}

TEST_CASE("a tensor that is missing, unexpected or misshapen is named, alone and without a count") {
  auto tensors = tensors_of(make_model("resnet20"));
  tensors[0].shape = {16, 3, 5, 5};
  tensors.erase(tensors.begin() + 1);
  tensors.push_back({"extra\x1b[2J", {1}});
  CHECK_THROWS_WITH(graph_for(tensors, "w.th"),
                    "cannot tell which network w.th holds; the nearest is resnet20\n"
                    "  conv1.weight is [16, 3, 5, 5] in the file, resnet20 needs [16, 3, 3, 3]\n"
                    "  bn1.weight is not in the file, resnet20 needs it\n"
                    "  extra?[2J is in the file, resnet20 has no such parameter\n"
                    "  `graft models` lists the networks graft knows");
  CHECK_THROWS_WITH(check_fits(make_model("resnet20"), tensors, "w.th"), Contains("cannot use w.th as resnet20\n"));
}

TEST_CASE("a file of something else") {
  CHECK_FALSE(recognise({}));
  const std::vector<NamedShape> other = {{"encoder.weight", {1, 2}}, {"fc.weight", {-4, 2}}};
  CHECK_THROWS_WITH(graph_for(other, "bert.pth"),
                    Contains("cannot tell which network bert.pth holds: none of its 2 tensors belongs to one"));
  CHECK_THROWS_WITH(graph_for(other, "bert.pth", "resnet18"), Contains("cannot use bert.pth as resnet18"));
  CHECK_THROWS_WITH(graph_for(other, "bert.pth", "resnet19"), Contains("there is no network resnet19"));
}

TEST_CASE("a head from a hostile file makes no network of its size") {
  auto tensors = tensors_of(make_model("resnet18"));
  for (NamedShape& t : tensors)
    if (t.name == "fc.weight") t.shape = {INT64_MAX, 512};
  CHECK_THROWS_WITH(graph_for(tensors, "w.pth"), Contains("fc.weight is [9223372036854775807, 512] in the file"));
}
