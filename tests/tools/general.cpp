// The program as a whole: help, wrong use, output that goes nowhere.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <regex>

#include "models/registry.h"
#include "tests/support/devices.h"
#include "tests/support/temporary_folder.h"
#include "tests/tools/fixtures.h"
#include "tests/tools/program.h"
#include "train/predictor.h"

using namespace graft::test;
using Catch::Matchers::Contains;
using Json = nlohmann::json;

namespace {

// Nothing of the parser's own language, nothing that a terminal of 80 columns breaks.
void check_help(const std::string& text) {
  for (const char* raw : {"TEXT ", "INT", "FLOAT", "ENUM", "REQUIRED", "Excludes", " in [", " in {"}) {
    INFO(raw);
    CHECK(text.find(raw) == text.npos);
  }
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    CHECK(line.size() <= 80);
    CHECK((line.empty() || line.back() != ' '));
  }
}

}  // namespace

TEST_CASE("graft alone, and --help, say what there is") {
  const auto alone = run_graft({}), help = run_graft({"--help"});
  CHECK(alone.code == 0);
  CHECK(help.code == 0);
  CHECK(alone.out == help.out);
  for (const char* command : {"models", "convert", "inspect", "predict", "evaluate", "features", "forward", "gradients",
                              "train", "bench", "devices"}) {
    CHECK_THAT(alone.out, Contains(command));
    const auto of_command = run_graft({command, "--help"});
    CHECK(of_command.code == 0);
    CHECK_THAT(of_command.out, Contains("Examples:") && Contains(std::string("Usage: graft ") + command));
    check_help(of_command.out);
    CHECK(of_command.err.empty());
  }
  check_help(alone.out);
  CHECK_THAT(alone.out, Contains("\nExamples:\n  graft convert") && Contains("evaluate and features with 1."));
  const auto bench = run_graft({"bench", "models", "--help"});
  check_help(bench.out);
  CHECK_THAT(bench.out, Contains("Usage: graft bench models --model MODEL.h5|NAME [OPTIONS]"));

  const std::string train = run_graft({"train", "--help"}).out;
  CHECK_THAT(train, Contains("\nUsage: graft train DIR [OPTIONS]\n") &&
                        Contains("  -o, --output OUT.h5     The model") && Contains("--freeze PATTERN...") &&
                        Contains("--checkpoint-seconds SECONDS\n") &&
                        Contains("How the learning rate falls: one of constant, cosine,\n"
                                 "                          step (default: cosine)\n"));
  CHECK_THAT(run_graft({"predict", "--help"}).out,
             Contains("Usage: graft predict MODEL.h5 PHOTO... [OPTIONS]\n") &&
                 Contains("--top N                 Answers for each photo (default: 3)"));
  CHECK_THAT(run_graft({"--version"}).out, Catch::Matchers::StartsWith("graft 0."));
}

TEST_CASE("wrong use: exit code 2, what was meant, and where to read on") {
  const auto option = run_graft({"predict", "a.h5", "b.jpg", "--tpo", "3"});
  CHECK(option.code == 2);
  CHECK(option.err == "graft: there is no option --tpo; did you mean --top?\nsee graft predict --help\n");
  CHECK(option.out.empty());

  const auto unfinished = run_graft({"bench"});
  CHECK(unfinished.code == 2);
  CHECK(unfinished.out.empty());
  CHECK(unfinished.err == "graft: bench needs a command: kernels, models, train, tune\nsee graft bench --help\n");

  const auto command = run_graft({"trian"});
  CHECK(command.code == 2);
  CHECK_THAT(command.err, Contains("there is no command trian; did you mean train?"));

  // the unknown word is named although an argument is missing too
  CHECK_THAT(run_graft({"predict", "--jsno"}).err, Contains("--jsno; did you mean --json?"));
  CHECK_THAT(run_graft({"predict"}).err, Contains("MODEL.h5 is required"));
  CHECK(run_graft({"predict"}).code == 2);
  CHECK(run_graft({"train", "photos"}).code == 2);
  CHECK(run_graft({"train", "photos", "--scratch", "resnet18", "--freeze", "fc"}).code == 2);
  const auto both = run_graft({"train", "photos", "--from", "a.h5", "--freeze", "a", "--train", "b"});
  CHECK(both.code == 2);
  CHECK_THAT(both.err, Contains("--train and --freeze do not go together: give one of them") ||
                           Contains("--freeze and --train do not go together: give one of them"));
  for (const char* name : {"--from", "--lr", "--freeze"}) {
    const auto alone = run_graft({"train", "photos", name});
    CHECK(alone.code == 2);
    CHECK(alone.err == fmt::format("graft: {} needs a value behind it\nsee graft train --help\n", name));
  }
  CHECK(run_graft({"predict", "a.h5", "b.jpg", "--top", "0"}).code == 2);
  CHECK(run_graft({"predict", "a.h5", "b.jpg", "--device", "tpu"}).code == 2);
}

TEST_CASE("a value out of range is wrong use: the message names the option and what it takes") {
  const auto refused = [](std::vector<std::string> arguments, const std::string& message) {
    const auto run = run_graft(arguments);
    CHECK(run.code == 2);
    CHECK(run.out.empty());
    CHECK_THAT(run.err, Catch::Matchers::StartsWith("graft: " + message) &&
                            Catch::Matchers::EndsWith("\nsee graft " + arguments[0] + " --help\n"));
  };
  const auto train = [&](const char* option, const char* value, const std::string& message) {
    refused({"train", "photos", "--from", "a.h5", option, value},
            std::string(option) + ": " + value + " is not " + message);
  };
  for (const char* value : {"0", "-3", "1000001", "2.5", "many", "99999999999999999999"})
    train("--epochs", value, "a whole number from 1 to 1,000,000");
  train("--batch", "0", "a whole number from 1 to 65,536");
  train("--seed", "-1", "a whole number, 0 or more");
  for (const char* value : {"-1", "nan", "inf", "1e400", "fast"}) train("--lr", value, "a number from 0 to 1,000,000");
  train("--momentum", "1.5", "a number from 0 to 1");
  train("--beta2", "1", "a number from 0 to 0.9999999");
  train("--min-crop", "0", "a number from 0.001 to 1");
  train("--validation", "1", "a number from 0.01 to 0.9");
  train("--warmup", "-1", "a whole number, 0 or more");
  train("--checkpoint-seconds", "-1", "a number from 0 to 86,400");
  train("--loader-threads", "-1", "a whole number from 0 to 256");
  train("--threads", "0", "a whole number from 1 to 1,024");
  train("--optimizer", "adam", "one of sgd, adamw");
  train("--schedule", "linear", "one of constant, cosine, step");
  refused({"predict", "a.h5", "b.jpg", "--top", "0"}, "--top: 0 is not a whole number from 1 to 1,000,000");
  refused({"evaluate", "a.h5", "photos", "--batch", "70000"}, "--batch: 70000 is not a whole number from 1 to 65,536");
  refused({"forward", "a.h5", "a.npy", "-o", "b.npy", "--layout", "hwc"}, "--layout: hwc is not one of nhwc, nchw");
  refused({"train", "photos", "--from", "a.h5", "--nesterov"}, "--nesterov is a kind of momentum");
  refused({"train", "photos", "--from", "a.h5", "--nesterov", "--optimizer", "sgd", "--momentum", "0"},
          "--nesterov is");
  refused({"train", "photos", "--from", "a.h5", "--scratch", "resnet20"}, "train needs --from MODEL.h5 or --scratch");
}

TEST_CASE("models and devices, for people and as JSON") {
  const auto models = run_graft({"models"}), json = run_graft({"models", "--json"});
  CHECK(models.code == 0);
  CHECK_THAT(models.out, Contains("resnet50") && Contains("25,557,032"));
  std::istringstream lines(json.out);
  bool found = false;
  for (std::string line; std::getline(lines, line);) {
    const auto model = Json::parse(line);
    if (model["name"] != "efficientnet_lite0") continue;
    found = true;
    CHECK(model["parameters"] == 4652008);
    CHECK(model["classes"] == 1000);
  }
  CHECK(found);

  const auto devices = run_graft({"devices"});
  CHECK(devices.code == 0);
  CHECK_THAT(devices.out, Contains("reference  yes") && Contains("cuda       no"));
  const auto lowered = run_graft({"devices"}, {.environment = {"GRAFT_MAX_ISA=sse4"}});
  CHECK_THAT(lowered.out, Contains("SSE4"));
  CHECK_THAT(run_graft({"devices"}, {.environment = {"GRAFT_MAX_ISA=mmx"}}).out, Contains("GRAFT_MAX_ISA"));
}

TEST_CASE("a GPU that is asked for is not replaced by the CPU") {
  const TemporaryFolder folder;
  write_tiny_model(folder / "tiny.h5", {"a", "b"});
  write_png(folder / "a.png", 16, {1, 2, 3}, 0);
  const auto run =
      run_graft({"predict", (folder / "tiny.h5").string(), (folder / "a.png").string(), "--device", "cuda"});
  CHECK(run.code == 1);
  CHECK_THAT(run.err, Contains("there is no NVIDIA driver") || Contains("cuda:0 cannot be used") ||
                          Contains("CUDA plug-in is not here"));
  CHECK(run.out.empty());
}

TEST_CASE("output on a full device is an error, output that nobody reads is none") {
  CHECK(run_graft({"models"}, {.out = "/dev/full"}).code == 1);
  CHECK_THAT(run_graft({"models"}, {.out = "/dev/full"}).err, Contains("No space left"));
  // `graft models | true`: no message and no signal
  FILE* shell = popen("{ '" GRAFT_PROGRAM "' models --json; echo code $? >&2; } 2>&1 >/dev/null | cat", "r");
  char line[64] = "";
  REQUIRE(shell != nullptr);
  CHECK(std::fgets(line, sizeof line, shell) != nullptr);
  pclose(shell);
  CHECK(std::string(line) == "code 0\n");
  FILE* cut = popen("exec 3>&1; { sleep 0.2; '" GRAFT_PROGRAM "' models 2>&3; echo code $? >&3; } | true", "r");
  REQUIRE(cut != nullptr);
  std::string said;
  while (std::fgets(line, sizeof line, cut)) said += line;
  pclose(cut);
  CHECK(said == "code 0\n");
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("the program needs the C and C++ run-times and no other library") {
  FILE* ldd = popen("ldd '" GRAFT_PROGRAM "' 2>&1", "r");
  REQUIRE(ldd);
  int libraries = 0;
  for (char line[512]; std::fgets(line, sizeof line, ldd); ++libraries) {
    std::string name = std::string(line).substr(0, std::string(line).find(" ", 1));
    name.erase(0, name.find_last_of("\t/") + 1);
    INFO(line);
    CHECK(std::regex_match(name,
                           std::regex(R"((linux-vdso|ld-linux-x86-64|libc|libm|libstdc\+\+|libgcc_s)\.so\.[0-9]+)")));
  }
  CHECK(pclose(ldd) == 0);
  CHECK(libraries >= 3);
}
#endif

TEST_CASE("the helper that reads HDF5 is the one beside the program, else the one installed with it") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "bin");
  std::filesystem::create_directories(folder / "libexec/graft");
  std::filesystem::copy_file(GRAFT_PROGRAM, folder / "bin/graft");
  write_tiny_model(folder / "tiny.h5", {"a", "b"});
  const auto inspect = [&] {
    std::string said;
    const std::string command = "env -u GRAFT_H5_INDEX '" + (folder / "bin/graft").string() + "' inspect '" +
                                (folder / "tiny.h5").string() + "' 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    REQUIRE(pipe);
    for (char line[512]; std::fgets(line, sizeof line, pipe);) said += line;
    pclose(pipe);
    return said;
  };
  const auto place_helper = [&](const char* where, int code) {
    write_text(folder / where, "#!/bin/sh\nexit " + std::to_string(code) + "\n");
    std::filesystem::permissions(folder / where, std::filesystem::perms::owner_all);
  };
  CHECK_THAT(inspect(), Contains("graft-h5-index is missing: it belongs beside the program") ||
                            Contains("conv1"));  // where graft is installed on this machine
  place_helper("libexec/graft/graft-h5-index", 8);
  CHECK_THAT(inspect(), Contains("graft-h5-index ended with exit code 8"));
  place_helper("bin/graft-h5-index", 9);
  CHECK_THAT(inspect(), Contains("graft-h5-index ended with exit code 9"));
}

TEST_CASE("inspect shows layers, classes and the graft line") {
  const TemporaryFolder folder;
  const std::string model = (folder / "tiny.h5").string();
  write_tiny_model(model, {"ant", "bee", "cat"});
  const auto plain = run_graft({"inspect", model});
  CHECK(plain.code == 0);
  CHECK_THAT(plain.out, Contains("conv1") && Contains("3: ant, bee, cat") && Contains("= the graft line =") &&
                            Contains("by default: the trunk frozen, the head, fc, trains"));

  const auto line = run_graft({"inspect", model, "--train", "fc"});
  CHECK(line.code == 0);
  CHECK_THAT(line.out, Contains("= the graft line =") && !Contains("by default") && Contains("trains: 27 parameters"));
  CHECK(line.out.find("conv2") < line.out.find("graft line"));
  CHECK(line.out.find("graft line") < line.out.find("dropout"));  // active above a trainable head

  const auto json = Json::parse(run_graft({"inspect", model, "--freeze", "conv1", "bn1", "--json"}).out);
  CHECK(json["class_names"] == Json({"ant", "bee", "cat"}));
  CHECK(json["preprocessing"]["crop"] == 16);
  CHECK(json["step"]["trained_parameters"] == 8 * 8 * 9 + 16 + 27);
  CHECK(json["step"]["frozen_parameters"] == 3 * 8 * 9 + 16);
  CHECK(json["step"]["step_arena_bytes"] >= json["step"]["step_lower_bound_bytes"]);
  CHECK(json["step"]["step_lower_bound_bytes"] > 0);
  for (const auto& layer : json["layers"])
    if (layer["name"] == "conv1" || layer["name"] == "bn1") CHECK(layer["in_training"] == "below the line");
}

TEST_CASE("inspect counts the memory of a large step without taking it") {
  const TemporaryFolder folder;
  const std::string model = (folder / "tiny.h5").string();
  write_tiny_model(model, {"ant", "bee", "cat"});
  for (const char* trains : {"*", "fc"}) {
    const auto run = run_graft({"inspect", model, "--train", trains, "--batch", "65536", "--json"});
    REQUIRE(run.code == 0);
    CHECK(Json::parse(run.out)["step"]["bytes"] > 250'000'000);
    CHECK(run.peak_bytes < 150'000'000);
  }
}

TEST_CASE("bench models answers with three numbers, for a file and for a name") {
  const TemporaryFolder folder;
  write_tiny_model(folder / "tiny.h5", {"a", "b"});
  for (const std::string& model : {(folder / "tiny.h5").string(), std::string("resnet20")}) {
    const auto run = run_graft(
        {"bench", "models", "--model", model, "--batch", "2", "--threads", "1", "--seconds", "0.05", "--json"});
    CHECK(run.code == 0);
    const auto json = Json::parse(run.out);
    CHECK(json.size() == 3);
    CHECK(json["images_per_second"] > 0);
    CHECK(json["milliseconds"].get<double>() * json["images_per_second"].get<double>() == Approx(2000));
    CHECK(json["peak_bytes"] > 0);
  }
}

TEST_CASE("bench train measures the whole network, a head, and answers on images that lie on the device") {
  const TemporaryFolder folder;
  const auto bench = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"bench", "train",    "--model", "resnet20",  "--batch", "2",     "--threads",
                                          "1",     "--device", "cpu",     "--seconds", "0",       "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto run = run_graft(arguments, {.folder = folder.path()});
    INFO(run.err);
    REQUIRE(run.code == 0);
    return Json::parse(run.out);
  };
  const auto whole = bench({}), head = bench({"--train", "linear"}), answers = bench({"--predict"});
  CHECK(whole["trained_parameters"].get<int64_t>() > 200'000);
  CHECK(head["trained_parameters"] == 64 * 10 + 10);
  CHECK(answers["trained_parameters"] == 0);
  for (const auto& line : {whole, head, answers}) {
    CHECK(line["milliseconds"].get<double>() * line["images_per_second"].get<double>() == Approx(2000));
    CHECK(line["runs"] >= 5);
    CHECK(line["precision"] == "f32");
  }
  CHECK(whole["milliseconds"] > answers["milliseconds"]);

  const auto both = run_graft({"bench", "train", "--model", "resnet20", "--predict", "--train", "linear"});
  CHECK(both.code == 2);
  CHECK_THAT(both.err, Contains("--predict"));
}

TEST_CASE("bench models counts weights, arena, images and answers, each once") {
  const graft::models::Graph graph = graft::models::make_model("resnet20");
  const auto zeros = [](const std::string&, int64_t, int64_t count, float* out) { std::fill_n(out, count, 0.f); };
  const graft::train::Predictor predictor(graph, zeros, cpu_device(graft::CpuIsa::avx512, 1),
                                          {.batch = 8, .layers = {}});
  const int64_t planned = predictor.report().packed_bytes + predictor.report().arena_bytes;
  const int64_t images = 8 * 32 * 32 * 3 * 4;
  const auto run = run_graft({"bench", "models", "--model", "resnet20", "--batch", "8", "--threads", "1", "--device",
                              "cpu", "--seconds", "0", "--json"});
  REQUIRE(run.code == 0);
  const auto peak = Json::parse(run.out)["peak_bytes"].get<int64_t>();
  CHECK(peak >= planned);
  CHECK(peak < planned + planned / 2 + images);
}
