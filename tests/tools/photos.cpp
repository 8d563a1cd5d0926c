// predict, evaluate and features on small made-up photos.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "io/hdf5/graft_file.h"
#include "tests/support/temporary_folder.h"
#include "tests/tools/fixtures.h"
#include "tests/tools/program.h"

using namespace graft::test;
using Catch::Matchers::Contains;
using Json = nlohmann::json;

TEST_CASE("predict: a line of JSON for each photo, probabilities falling and adding up to one") {
  const TemporaryFolder folder;
  const std::string model = (folder / "tiny.h5").string();
  write_tiny_model(model, {"ant", "bee", "cat"});
  make_squares(folder / "photos", 3);
  const auto run = run_graft({"predict", model, (folder / "photos").string(), "--top", "3", "--json"});
  CHECK(run.code == 0);
  CHECK(run.err.empty());
  const auto lines = lines_of(run.out);
  REQUIRE(lines.size() == 9);
  for (const Json& line : lines) {
    CHECK(line.size() == 2);
    CHECK_THAT(line["file"].get<std::string>(), Contains("photos/"));
    REQUIRE(line["top"].size() == 3);
    double sum = 0, last = 1;
    for (const Json& answer : line["top"]) {
      CHECK(answer.size() == 3);
      const char* names[] = {"ant", "bee", "cat"};
      CHECK(answer["class"] == names[answer["index"].get<size_t>()]);
      CHECK(answer["probability"] <= last);
      sum += last = answer["probability"].get<double>();
    }
    CHECK(sum == Approx(1));
  }
  // one at a time, in another batch and on the reference: the same answers
  const auto one = run_graft({"predict", model, (folder / "photos").string(), "--top", "3", "--json", "--batch", "1"});
  CHECK(lines_of(one.out) == lines);
  const auto reference =
      lines_of(run_graft({"predict", model, (folder / "photos").string(), "--json", "--device", "reference"}).out);
  REQUIRE(reference.size() == 9);
  for (size_t i = 0; i < 9; ++i)
    CHECK(reference[i]["top"][0]["probability"].get<double>() ==
          Approx(lines[i]["top"][0]["probability"].get<double>()).margin(1e-5));

  const auto plain = run_graft({"predict", model, (folder / "photos/red/0.png").string(), "--top", "1"});
  CHECK(plain.code == 0);
  CHECK_THAT(plain.out, Contains("red/0.png\n") && Contains(" %  "));
}

TEST_CASE("predict answers the others when a photo cannot be read") {
  const TemporaryFolder folder;
  const std::string model = (folder / "tiny.h5").string();
  write_tiny_model(model, {"ant", "bee"});
  make_squares(folder / "photos", 2);
  write_text(folder / "photos/red/1.png", read_file(folder / "photos/red/0.png").substr(0, 200));  // cut short
  write_text(folder / "photos/red/note.jpg", "not a photo");
  const auto run =
      run_graft({"predict", model, (folder / "photos").string(), (folder / "none.jpg").string(), "--json"});
  CHECK(run.code == 1);
  CHECK(lines_of(run.out).size() == 5);
  CHECK_THAT(run.err, Contains("red/1.png") &&
                          Contains("red/note.jpg: not an image graft knows; JPEG and PNG are read") &&
                          Contains("none.jpg"));
  CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 3);
}

TEST_CASE("evaluate counts by class, folders are matched to the model's classes by name") {
  const TemporaryFolder folder;
  const std::string model = (folder / "tiny.h5").string();
  write_tiny_model(model, {"red", "green", "yellow", "blue"});
  make_squares(folder / "photos", 4);
  const std::string photos = (folder / "photos").string();
  const auto run = run_graft({"evaluate", model, photos, "--json"});
  REQUIRE(run.code == 0);
  const auto json = Json::parse(run.out);
  CHECK(json.size() == 6);
  CHECK(json["images"] == 12);
  REQUIRE(json["confusion"].size() == 4);
  // what predict says of each photo is what the table holds
  Json expected = Json::array();
  for (int i = 0; i < 4; ++i) expected.push_back({0, 0, 0, 0});
  double right = 0;
  for (const Json& line : lines_of(run_graft({"predict", model, photos, "--json"}).out)) {
    const std::string file = line["file"];
    const size_t truth = file.find("/red/") != file.npos ? 0 : file.find("/green/") != file.npos ? 1 : 3;
    const size_t said = line["top"][0]["index"].get<size_t>();
    expected[truth][said] = expected[truth][said].get<int>() + 1;
    right += truth == said;
  }
  CHECK(json["confusion"] == expected);
  CHECK(json["top1"].get<double>() == Approx(right / 12));
  CHECK(json["top5"] == 1.0);
  CHECK(json["per_class"][1]["class"] == "green");
  CHECK(json["per_class"][1]["images"] == 4);
  CHECK(json["per_class"][2]["top1"].is_null());  // no yellow photos
  CHECK(json["loss"] > 0);

  const auto plain = run_graft({"evaluate", model, photos});
  CHECK(plain.code == 0);
  CHECK_THAT(plain.out, Contains("of 12 photos right") && Contains("taken for"));
  CHECK(plain.out.find("top-5") == plain.out.npos);  // of four classes, five answers are always right
  write_tiny_model(folder / "six.h5", {"red", "green", "yellow", "blue", "pink", "grey"});
  CHECK_THAT(run_graft({"evaluate", (folder / "six.h5").string(), photos}).out, Contains(", top-5 "));

  std::filesystem::rename(folder / "photos/blue", folder / "photos/bleu");
  const auto strange = run_graft({"evaluate", model, photos});
  CHECK(strange.code == 1);
  CHECK_THAT(strange.err, Contains("not among them: bleu; did you mean blue?") && Contains("its classes: red, green"));
  CHECK(strange.out.empty());
}

TEST_CASE("features: values, labels, files and names in one file") {
  const TemporaryFolder folder;
  const std::string model = (folder / "tiny.h5").string(), out = (folder / "f.h5").string();
  write_tiny_model(model, {"a", "b", "c"});
  make_squares(folder / "photos", 3);
  const auto run = run_graft({"features", model, (folder / "photos").string(), "-o", out, "--batch", "2", "--json"});
  CHECK(run.code == 0);
  CHECK(Json::parse(run.out)["shape"] == Json({9, 8}));
  const graft::io::GraftFile file(out);
  CHECK(file.attribute("layer") == "flatten");
  const auto features = file.read_raw("features");
  CHECK(features.shape == std::vector<int64_t>{9, 8});
  const auto labels = file.read_raw("labels");
  CHECK(std::vector<int64_t>(labels.as<int64_t>().begin(), labels.as<int64_t>().end()) ==
        std::vector<int64_t>{0, 0, 0, 1, 1, 1, 2, 2, 2});
  CHECK(file.strings("class_names") == std::vector<std::string>{"blue", "green", "red"});
  CHECK(file.strings("files")->at(3) == "green/0.png");

  // photos of a folder without classes; another layer
  const auto flat = run_graft({"features", model, (folder / "photos/red").string(), "-o", out, "--layer", "conv1"});
  CHECK(flat.code == 0);
  const graft::io::GraftFile second(out);
  CHECK(second.read_raw("features").shape == std::vector<int64_t>{3, 8, 8, 8});
  CHECK_FALSE(second.contains("labels"));

  const auto wrong = run_graft({"features", model, (folder / "photos").string(), "-o", out, "--layer", "conv3"});
  CHECK(wrong.code == 1);
  CHECK_THAT(wrong.err, Contains("conv3") && Contains("conv1"));
}
