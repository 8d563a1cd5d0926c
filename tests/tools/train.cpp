// graft train on made-up squares: it learns, says what it does, and writes what it says.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/temporary_folder.h"
#include "tests/tools/fixtures.h"
#include "tests/tools/program.h"
#include "train/model_file.h"

using namespace graft::test;
using Catch::Matchers::Contains;
using Json = nlohmann::json;

TEST_CASE("a network from scratch learns to tell colours apart") {
  const TemporaryFolder folder;
  make_squares(folder / "squares", 20);
  const auto run = run_graft(
      {"train", "squares", "--scratch", "resnet20", "--epochs", "4", "--batch", "8", "--seed", "1", "--lr", "3e-3"},
      {.folder = folder.path()});
  INFO(run.out << run.err);
  REQUIRE(run.code == 0);
  CHECK(run.err.empty());  // a pipe, and soon done: no progress
  CHECK_THAT(run.out, Contains("48 photos, 12 for validation") && Contains("squares.h5") && Contains("best: epoch") &&
                          Contains("graft predict squares.h5"));

  make_squares(folder / "unseen", 6, 7);
  const auto evaluation = run_graft({"evaluate", "squares.h5", "unseen", "--json"}, {.folder = folder.path()});
  REQUIRE(evaluation.code == 0);
  CHECK(Json::parse(evaluation.out)["top1"] >= 0.9);

  const auto log = lines_of(read_file(folder / "squares.log.jsonl"));
  REQUIRE(log.size() == 6);
  CHECK(log.front()["event"] == "start");
  CHECK(log.front()["config"]["seed"] == 1);
  CHECK(log[1]["epoch"] == 1);
  CHECK(log[1]["seconds"] > 0);
  CHECK(log.back()["end"] == "finished");
  // the settings are in the file, and say the same
  const graft::train::ModelFile model(folder / "squares.h5");
  CHECK(Json::parse(model.info().training) == log.front()["config"]);
  CHECK(model.info().classes == std::vector<std::string>{"blue", "green", "red"});
}

TEST_CASE("by default the trunk is frozen and the head is new") {
  const TemporaryFolder folder;
  make_squares(folder / "squares", 8);
  write_tiny_model(folder / "tiny.h5", {"x", "y"});
  const auto run = run_graft({"train", "squares", "--from", "tiny.h5", "-o", "out.h5", "--epochs", "2", "--json"},
                             {.folder = folder.path()});
  INFO(run.err);
  REQUIRE(run.code == 0);
  const auto lines = lines_of(run.out);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0]["trained_parameters"] == 27);
  CHECK(lines[0]["config"]["train"] == Json({"fc"}));
  CHECK(lines[0]["config"]["learning_rate"] == 1e-3);
  CHECK(lines[0]["train_images"] == 18);  // a fifth of each class is kept back
  CHECK(lines[0]["validation_images"] == 6);
  CHECK(run.out == read_file(folder / "out.log.jsonl"));

  const graft::train::ModelFile before(folder / "tiny.h5"), after(folder / "out.h5");
  for (const char* frozen : {"conv1.weight", "bn1.weight", "bn1.running_mean", "bn2.running_var"})
    CHECK(before.read_all(frozen) == after.read_all(frozen));
  CHECK(after.read_all("fc.weight").size() == 24);

  // all of it: other weights move, running statistics too
  const auto all =
      run_graft({"train", "squares", "--from", "tiny.h5", "-o", "all", "--epochs", "1", "--train", "*", "--json"},
                {.folder = folder.path()});
  REQUIRE(all.code == 0);
  CHECK(lines_of(all.out)[0]["config"]["learning_rate"] == 1e-4);
  const graft::train::ModelFile trained(folder / "all.h5");
  CHECK(before.read_all("conv1.weight") != trained.read_all("conv1.weight"));
  CHECK(before.read_all("bn1.running_mean") != trained.read_all("bn1.running_mean"));
}

TEST_CASE("photos that cannot be used are reported once, in either half, and training goes on") {
  const TemporaryFolder folder;
  make_squares(folder / "squares/train", 4);
  make_squares(folder / "squares/val", 2);
  write_text(folder / "squares/train/red/odd.gif", "GIF89a and so on");
  const std::string whole = read_file(folder / "squares/train/blue/0.png");
  write_text(folder / "squares/train/blue/cut.png", whole.substr(0, 100));
  write_text(folder / "squares/val/green/torn.png", whole.substr(0, 200));
  write_tiny_model(folder / "tiny.h5", {"x", "y"});
  const auto run = run_graft({"train", "squares", "--from", "tiny.h5", "--epochs", "3"}, {.folder = folder.path()});
  INFO(run.err);
  CHECK(run.code == 0);
  CHECK_THAT(run.out, Contains("13 photos, 7 for validation,"));  // as they came: no split
  CHECK_THAT(run.err, Contains("red/odd.gif: a GIF image") && Contains("blue/cut.png") && Contains("green/torn.png"));
  CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 3);
}

TEST_CASE("a loss that is not finite stops the run and says so") {
  const TemporaryFolder folder;
  make_squares(folder / "squares", 6);
  write_tiny_model(folder / "tiny.h5", {"x", "y"});
  const auto run = run_graft({"train", "squares", "--from", "tiny.h5", "-o", "out.h5", "--train", "*", "--optimizer",
                              "sgd", "--lr", "1e6", "--schedule", "constant", "--epochs", "40", "--batch", "4"},
                             {.folder = folder.path()});
  INFO(run.out << run.err);
  REQUIRE(run.code == 1);
  CHECK_THAT(run.err, Contains("not finite") && Contains("--lr") && Contains("out.h5"));
  CHECK(lines_of(read_file(folder / "out.log.jsonl")).back()["end"] == "diverged");
  const graft::train::ModelFile model(folder / "out.h5");  // whole, and finite
  for (float v : model.read_all("fc.weight")) CHECK(std::isfinite(v));
}

TEST_CASE("quiet is quiet") {
  const TemporaryFolder folder;
  make_squares(folder / "squares", 4);
  write_tiny_model(folder / "tiny.h5", {"x", "y"});
  const auto run =
      run_graft({"train", "squares", "--from", "tiny.h5", "--epochs", "1", "--quiet"}, {.folder = folder.path()});
  CHECK(run.code == 0);
  CHECK(run.err.empty());
  CHECK(std::count(run.out.begin(), run.out.end(), '\n') == 2);  // the table
}
