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
  CHECK(lines[0]["config"]["learning_rate"] == 3e-3);
  CHECK(lines[0]["train_images"] == 18);  // a fifth of each class is kept back
  CHECK(lines[0]["validation_images"] == 6);
  CHECK(run.out == read_file(folder / "out.log.jsonl"));

  const graft::train::ModelFile before(folder / "tiny.h5"), after(folder / "out.h5");
  for (const char* frozen : {"conv1.weight", "bn1.weight", "bn1.running_mean", "bn2.running_var"})
    CHECK(before.read_all(frozen) == after.read_all(frozen));
  CHECK(after.read_all("fc.weight").size() == 24);

  // what chose the bits; a converted model has no device
  const Json made_by = Json::parse(after.info().made_by);
  CHECK(made_by["device"] == "cpu");
  CHECK((made_by["instruction_set"] == "avx512" || made_by["instruction_set"] == "avx2" ||
         made_by["instruction_set"] == "sse4"));
  for (const char* part : {"graft", "hdf5", "libjpeg_turbo", "libpng", "glibc"})
    CHECK_THAT(made_by[part].get<std::string>(), Contains("."));
  const auto inspected = run_graft({"inspect", "out.h5"}, {.folder = folder.path()});
  CHECK_THAT(inspected.out, Contains("made by: graft 0.") && Contains("device cpu, instruction_set "));
  CHECK(Json::parse(run_graft({"inspect", "out.h5", "--json"}, {.folder = folder.path()}).out)["made_by"] == made_by);
  const auto lowered = run_graft({"train", "squares", "--from", "tiny.h5", "-o", "sse4.h5", "--epochs", "1"},
                                 {.folder = folder.path(), .environment = {"GRAFT_MAX_ISA=sse4"}});
  REQUIRE(lowered.code == 0);
  const graft::train::ModelFile sse4(folder / "sse4.h5");
  CHECK(Json::parse(sse4.info().made_by)["instruction_set"] == "sse4");

  const auto averaged = run_graft({"train", "squares", "--from", "tiny.h5", "-o", "averaged.h5", "--epochs", "1",
                                   "--clip-norm", "0.5", "--ema", "0.9", "--json"},
                                  {.folder = folder.path()});
  REQUIRE(averaged.code == 0);
  CHECK(lines_of(averaged.out)[0]["config"]["clip_norm"] == 0.5);
  CHECK(lines_of(averaged.out)[0]["config"]["ema"] == 0.9);

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

namespace {

// Weight decay alone, without momentum, multiplies the head's weights by 1 - rate · decay in each step.
Outcome blow_up(const TemporaryFolder& folder, const char* rate, const char* decay, const char* batch) {
  make_squares(folder / "squares", 6);  // 15 for training, 3 for validation
  write_tiny_model(folder / "tiny.h5", {"x", "y"});
  return run_graft(
      {"train", "squares", "--from=tiny.h5", "-oout.h5", "--optimizer", "sgd", "--momentum", "0", "--lr", rate,
       "--weight-decay", decay, "--schedule", "constant", "--epochs", "20", "--batch", batch, "--no-augment"},
      {.folder = folder.path()});
}

Json last_line(const std::filesystem::path& log) { return lines_of(read_file(log)).back(); }

}  // namespace

TEST_CASE("a training loss that is not finite stops the run, and the message says how to begin again") {
  const TemporaryFolder folder;
  const auto run = blow_up(folder, "1e6", "1e6", "2");  // beyond f32 within the first epoch
  INFO(run.out << run.err);
  REQUIRE(run.code == 1);
  CHECK_THAT(run.err, Contains("gave a training loss or a gradient that is not finite") &&
                          Contains("out.h5 holds the weights of the last finite step") &&
                          Contains("begin again with a smaller one: graft train squares --from=tiny.h5 -oout.h5") &&
                          Contains("--lr 100000 --overwrite\n") && !Contains("--resume"));
  const Json end = last_line(folder / "out.log.jsonl");
  CHECK(end["end"] == "diverged");
  CHECK(end["diverged_in"] == "training");
  CHECK(end["best_epoch"] == 0);
  const graft::train::ModelFile model(folder / "out.h5");  // it is whole
  CHECK(model.info().classes.size() == 3);
}

TEST_CASE("a validation loss that is not finite after finite steps is said to be that") {
  const TemporaryFolder folder;
  const auto run = blow_up(folder, "1e6", "1e6", "4");  // the fourth step, the epoch's last, goes beyond f32
  INFO(run.out << run.err);
  REQUIRE(run.code == 1);
  CHECK_THAT(run.err, Contains("after step 4 the validation loss is not finite, though the training loss was"));
  CHECK(last_line(folder / "out.log.jsonl")["diverged_in"] == "validation");
  CHECK(last_line(folder / "out.log.jsonl")["diverged_step"] == 4);
}

TEST_CASE("after a run diverged, the command that is shown goes on from the best epoch") {
  const TemporaryFolder folder;
  const auto run = blow_up(folder, "10", "1", "4");  // times 9 in each step: some epochs are finite
  INFO(run.out << run.err);
  REQUIRE(run.code == 1);
  CHECK_THAT(run.err, Contains("out.h5 holds the weights of the best epoch"));
  const graft::train::ModelFile best(folder / "out.h5");
  for (float v : best.read_all("fc.weight")) CHECK(std::isfinite(v));

  const std::string before = "with a smaller one: graft ";
  const size_t at = run.err.find(before);
  REQUIRE(at != run.err.npos);
  const std::string rest = run.err.substr(at + before.size(), run.err.find('\n', at) - at - before.size());
  CHECK_THAT(rest, Contains("--lr 1 --from out.h5 --output out.again.h5") && !Contains("tiny.h5"));
  const std::string command =
      "cd '" + folder.path().string() + "' && '" GRAFT_PROGRAM "' " + rest + " --quiet >again.txt";
  REQUIRE(std::system(command.c_str()) == 0);
  CHECK(last_line(folder / "out.again.log.jsonl")["end"] == "finished");
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

TEST_CASE("the lines that say what is next can be pasted into a shell") {
  const TemporaryFolder folder;
  make_squares(folder / "my photos", 3);
  write_tiny_model(folder / "tiny.h5", {"x", "y"});
  const std::vector<std::string> arguments = {"train", "my photos", "--from",  "tiny.h5",  "--train",
                                              "fc",    "-o",        "it's.h5", "--epochs", "1"};
  const auto run = run_graft(arguments, {.folder = folder.path()});
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK_THAT(run.out, Contains("\n1 epoch, batch") && Contains("\n  graft predict 'it'\\''s.h5' PHOTO\n") &&
                          Contains("\n  graft evaluate 'it'\\''s.h5' 'my photos'\n") &&
                          Contains("-o 'it'\\''s.all.h5'  # trains all of it"));
  auto again = arguments;
  again.push_back("--resume");
  CHECK_THAT(run_graft(again, {.folder = folder.path()}).out, Contains("finished already, 1 epoch:"));
}
