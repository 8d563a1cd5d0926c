// Every command on a GPU that is none: the plug-in's own sources and CUDA's runtime, executed on the host
// (tests/cuda_on_host). What comes out is what the CPU says, within rounding.
#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <thread>

#include "tests/support/temporary_folder.h"
#include "tests/support/test_data.h"
#include "tests/tools/fixtures.h"
#include "tests/tools/program.h"

namespace graft::test {

namespace {

using Catch::Contains;

RunOptions on_gpu_options(const std::filesystem::path& folder, std::vector<std::string> environment = {}) {
  environment.push_back(std::string("LD_LIBRARY_PATH=") + GRAFT_STUB_DRIVER);
  environment.push_back(std::string("GRAFT_CUDA_PLUGIN=") + GRAFT_HOST_PLUGIN);
  return {.folder = folder, .patience = std::chrono::seconds(300), .environment = std::move(environment)};
}

Outcome on_gpu(const std::vector<std::string>& arguments, const std::filesystem::path& folder,
               const std::string& capture = "GRAFT_CAPTURE=1") {
  return run_graft(arguments, on_gpu_options(folder, {capture}));
}

// The same on a GPU that fails: see tests/kernels/cuda/host_plugin.cpp.
Outcome on_failing_gpu(const std::vector<std::string>& arguments, const std::filesystem::path& folder,
                       const std::string& fault, const std::string& sync = "0") {
  return run_graft(arguments, on_gpu_options(folder, {"GRAFT_HOST_FAULTS=" + fault, "GRAFT_CUDA_SYNC=" + sync}));
}

nlohmann::json last_line(const std::string& text) { return lines_of(text).back(); }

}  // namespace

TEST_CASE("devices lists the GPU, and auto takes it") {
  const TemporaryFolder folder;
  const auto devices = on_gpu({"devices"}, folder.path());
  INFO(devices.out << devices.err);
  CHECK_THAT(devices.out, Contains("cuda:0     yes"));
  write_tiny_model(folder / "tiny.h5", {"a", "b"});
  const auto bench = on_gpu({"bench", "models", "--model", "tiny.h5", "--seconds", "0.1"}, folder.path());
  INFO(bench.err);
  CHECK_THAT(bench.out, Contains("host-run GPU"));
}

TEST_CASE("predict, evaluate and features on the GPU say what they say on the CPU") {
  const TemporaryFolder folder;
  make_squares(folder / "squares", 2);
  write_tiny_model(folder / "tiny.h5", {"blue", "green", "red"});
  const auto both = [&](std::vector<std::string> arguments) {
    auto cpu_arguments = arguments;
    cpu_arguments.insert(cpu_arguments.end(), {"--device", "cpu"});
    arguments.insert(arguments.end(), {"--device", "cuda"});
    const auto gpu = on_gpu(arguments, folder.path()), cpu = run_graft(cpu_arguments, {.folder = folder.path()});
    INFO(gpu.err << cpu.err);
    REQUIRE(gpu.code == 0);
    REQUIRE(cpu.code == 0);
    return std::pair(gpu, cpu);
  };
  const auto [predicted, expected] = both({"predict", "tiny.h5", "squares", "--json"});
  const auto lines = lines_of(predicted.out), cpu_lines = lines_of(expected.out);
  REQUIRE(lines.size() == 6);
  for (size_t i = 0; i < lines.size(); ++i) {
    CHECK(lines[i]["top"][0]["class"] == cpu_lines[i]["top"][0]["class"]);
    CHECK(lines[i]["top"][0]["probability"].get<double>() ==
          Approx(cpu_lines[i]["top"][0]["probability"].get<double>()).epsilon(1e-4));
  }
  const auto [evaluated, truth] = both({"evaluate", "tiny.h5", "squares", "--json"});
  CHECK(last_line(evaluated.out)["top1"] == last_line(truth.out)["top1"]);
  REQUIRE(on_gpu({"features", "tiny.h5", "squares", "-o", "gpu.npy", "--device", "cuda"}, folder.path()).code == 0);
  CHECK(std::filesystem::file_size(folder / "gpu.npy") > 6 * 8 * 4);
}

TEST_CASE("training on the GPU learns and is the same each time, captured or not, in f32 and in bf16") {
  for (const char* precision : {"f32", "bf16"}) {
    INFO(precision);
    const TemporaryFolder folder;
    make_squares(folder / "squares", 6);
    write_tiny_model(folder / "tiny.h5", {"a", "b"});
    const auto train = [&](const std::string& output, int epochs, const std::string& capture) {
      const std::vector<std::string> arguments = {
          "train",       "squares", "--from", "tiny.h5", "-o",      output, "--epochs", std::to_string(epochs),
          "--batch",     "4",       "--lr",   "0.05",    "--train", "*",    "--device", "cuda",
          "--precision", precision, "--json"};
      const auto run = on_gpu(arguments, folder.path(), capture);
      INFO(run.err);
      REQUIRE(run.code == 0);
      return lines_of(run.out);
    };
    const auto lines = train("first.h5", 4, "GRAFT_CAPTURE=1");
    train("second.h5", 4, "GRAFT_CAPTURE=0");
    CHECK(read_file(folder / "first.h5") == read_file(folder / "second.h5"));
    CHECK(lines[0]["config"]["precision"] == precision);
    double first = 0, last = 0;
    for (const auto& line : lines)
      if (line.contains("train_loss")) (first == 0 ? first : last) = line["train_loss"].get<double>();
    CHECK(last < first);
  }
}

TEST_CASE("a launch that fails names layer, call, kernel and shapes") {
  const TemporaryFolder folder;
  write_tiny_model(folder / "tiny.h5", {"a", "b"});
  write_png(folder / "a.png", 16, {1, 2, 3}, 0);
  const auto run = on_failing_gpu({"predict", "tiny.h5", "a.png", "--device", "cuda"}, folder.path(), "launch=1");
  CHECK(run.code == 1);
  INFO(run.err);
  CHECK_THAT(run.err,
             Contains(": conv2d on cuda: device error (") && Contains("<<<(") && Contains("in [8, 3, 3, 8] f32"));
  CHECK_THAT(run.err, Contains("graft: conv2: "));  // the layer
}

TEST_CASE("a run that needs more memory than the GPU has says for what, what is held and what would help") {
  const TemporaryFolder folder;
  make_squares(folder / "squares", 4);
  write_tiny_model(folder / "tiny.h5", {"a", "b"});
  const auto run = on_failing_gpu(
      {"train", "squares", "--from", "tiny.h5", "-o", "out.h5", "--train", "*", "--batch", "8", "--device", "cuda"},
      folder.path(), "memory_limit=80000");
  CHECK(run.code == 1);
  INFO(run.err);
  CHECK_THAT(run.err, Contains("out of memory on cuda: ") && Contains(" for the arena of a step (cudaMalloc of ") &&
                          Contains("; held: ") && Contains(" parameters") && Contains("smaller --batch"));
}

TEST_CASE("a GPU that is lost while it trains ends the run, and the last checkpoint goes on to the same bytes") {
  const TemporaryFolder folder;
  make_squares(folder / "squares", 6);
  write_tiny_model(folder / "tiny.h5", {"a", "b"});
  std::vector<std::string> train = {"train",   "squares",  "--from",   "tiny.h5", "-o",
                                    "out.h5",  "--epochs", "3",        "--batch", "4",
                                    "--train", "*",        "--device", "cuda",    "--checkpoint-seconds",
                                    "0"};
  const auto whole = on_gpu(train, folder.path());
  REQUIRE(whole.code == 0);
  const std::string expected = read_file(folder / "out.h5"), last = read_file(folder / "out.last.h5");
  for (const char* fault : {"operation=500", "copy=100"}) {
    INFO(fault);
    for (const char* name : {"out.h5", "out.last.h5", "out.log.jsonl"}) std::filesystem::remove(folder / name);
    const auto lost = on_failing_gpu(train, folder.path(), fault);
    INFO(lost.err);
    CHECK(lost.code == 1);
    CHECK_THAT(lost.err, Contains("graft: in epoch ") && Contains("device error (") &&
                             Contains("out.last.h5 is whole, as it was last saved; go on with: graft train") &&
                             Contains("--resume"));
    if (fault[0] == 'o') CHECK_THAT(lost.err, Contains("with GRAFT_CUDA_SYNC=1 the call whose kernel fails is named"));
    auto resume = train;
    resume.push_back("--resume");
    const auto resumed = on_gpu(resume, folder.path());
    INFO(resumed.err);
    REQUIRE(resumed.code == 0);
    CHECK(read_file(folder / "out.h5") == expected);
    CHECK(read_file(folder / "out.last.h5") == last);
  }
}

TEST_CASE("with GRAFT_CUDA_SYNC=1 a kernel that fails is named by its own call") {
  const TemporaryFolder folder;
  write_tiny_model(folder / "tiny.h5", {"a", "b"});
  write_png(folder / "a.png", 16, {1, 2, 3}, 0);
  const std::vector<std::string> predict = {"predict", "tiny.h5", "a.png", "--device", "cuda"};
  bool named = false, waited = false;
  for (int operation = 0; operation < 60 && !(named && waited); ++operation) {
    const std::string fault = "operation=" + std::to_string(operation);
    const auto late = on_failing_gpu(predict, folder.path(), fault),
               own = on_failing_gpu(predict, folder.path(), fault, "1");
    if (own.err.find("conv2d on cuda: device error (conv2d: ") == own.err.npos) continue;
    named = true;
    INFO(late.err);
    waited = waited || late.err.find("conv2d on cuda") == late.err.npos;
    CHECK(late.code == 1);
  }
  CHECK(named);
  CHECK(waited);
}

TEST_CASE("bench tune times the ways of a network's calls, and its file chooses for the commands that name it") {
  const TemporaryFolder folder;
  make_squares(folder / "squares", 2);
  write_tiny_model(folder / "tiny.h5", {"blue", "green", "red"});
  const auto tuned =
      on_gpu({"bench", "tune", "--model", "tiny.h5", "--batch", "2", "--train", "-o", "t.json"}, folder.path());
  INFO(tuned.out << tuned.err);
  REQUIRE(tuned.code == 0);
  CHECK_THAT(tuned.out, Contains("conv2d f32[2,") && Contains("conv2d_backward_weight f32[2,") && Contains("ratio"));
  auto file = nlohmann::json::parse(read_file(folder / "t.json"));
  CHECK_THAT(file["device"].get<std::string>(), Contains("host-run GPU"));
  REQUIRE(file["choices"].size() > 3);
  for (auto& choice : file["choices"]) {
    CHECK(choice["rule_milliseconds"] >= choice["milliseconds"]);
    choice["way"] = "graft tile 64";  // so that something is chosen, whatever was the fastest
  }
  const auto train = [&](const std::string& output, const std::string& tuning) {
    return on_gpu({"train", "squares", "--from", "tiny.h5", "-o", output, "--epochs", "1", "--batch", "2", "--train",
                   "*", "--device", "cuda", "--tuning", tuning, "--precision", "tf32"},
                  folder.path());
  };
  std::ofstream(folder / "chosen.json") << file.dump();
  REQUIRE(train("chosen.h5", "chosen.json").code == 0);
  const auto inspected = on_gpu({"inspect", "chosen.h5"}, folder.path());
  CHECK_THAT(inspected.out, Contains("trained by graft in tf32") && Contains("tuning "));
  REQUIRE(train("rule.h5", "none").code == 0);
  CHECK_THAT(on_gpu({"inspect", "rule.h5"}, folder.path()).out, !Contains("tuning "));

  file["device"] = "NVIDIA H100";
  std::ofstream(folder / "other.json") << file.dump();
  const auto refused = train("other.h5", "other.json");
  CHECK(refused.code == 1);
  CHECK_THAT(refused.err, Contains("other.json was made on another device") && Contains("there: NVIDIA H100"));
  CHECK_FALSE(std::filesystem::exists(folder / "other.h5"));
}

TEST_CASE("a tuning file that cannot be written is an error before anything is measured, and Ctrl-C leaves none") {
  const TemporaryFolder folder;
  write_tiny_model(folder / "tiny.h5", {"a", "b"});
  std::filesystem::create_directory(folder / "held.json");
  const auto to = [](const std::string& output) {
    return std::vector<std::string>{"bench", "tune", "--model", "tiny.h5", "--batch", "2", "--train", "-o", output};
  };
  for (const char* output : {"missing/t.json", "held.json"}) {
    const auto refused = on_gpu(to(output), folder.path());
    CHECK(refused.code == 1);
    CHECK_THAT(refused.err, Contains(output));
    CHECK(refused.out == "");
  }
  const auto nothing =
      run_graft({"bench", "tune", "--model", "tiny.h5", "-o", "t.json", "--device", "cpu"}, {.folder = folder.path()});
  CHECK(nothing.code == 1);
  CHECK_THAT(nothing.err, Contains("the cpu device has one way for each call: there is nothing to tune"));

  std::ofstream(folder / "t.json") << "what was there";
  Program program(to("t.json"), on_gpu_options(folder.path(), {"GRAFT_PROGRESS_SECONDS=0"}));
  const auto stage_is_there = [&] {
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      if (entry.path().filename().string().starts_with("t.json.tmp-")) return true;
    return false;
  };
  while (program.running() && !stage_is_there()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  program.signal(SIGINT);
  const auto stopped = program.wait();
  INFO(stopped.out << stopped.err);
  CHECK(stopped.code == 130);
  CHECK_THAT(stopped.err, Contains("interrupted: t.json is not written"));
  CHECK(read_file(folder / "t.json") == "what was there");
  CHECK_FALSE(stage_is_there());
}

TEST_CASE("a device without TF32 says that it computes in full f32, in one line") {
  const TemporaryFolder folder;
  write_tiny_model(folder / "tiny.h5", {"a", "b"});
  write_png(folder / "a.png", 16, {1, 2, 3}, 0);
  const auto predict = [&](const std::string& precision) {
    return run_graft({"predict", "tiny.h5", "a.png", "--device", "cpu", "--precision", precision},
                     {.folder = folder.path()});
  };
  const auto rounded = predict("tf32"), full = predict("f32");
  CHECK(rounded.code == 0);
  CHECK(rounded.err == "the cpu device has no tf32: it computes in full f32\n");
  CHECK(rounded.out == full.out);
  CHECK(full.err == "");
}

TEST_CASE("a device that computes in f32 alone says so when it is asked for bf16") {
  const TemporaryFolder folder;
  write_tiny_model(folder / "tiny.h5", {"a", "b"});
  write_png(folder / "a.png", 16, {1, 2, 3}, 0);
  const auto ask = [&](const std::string& precision) {
    return run_graft({"predict", "tiny.h5", "a.png", "--device", "cpu", "--precision", precision},
                     {.folder = folder.path()});
  };
  CHECK(ask("f32").code == 0);
  const auto refused = ask("bf16"), unknown = ask("f16");
  CHECK(refused.code == 1);
  CHECK_THAT(refused.err, Contains("the cpu device computes in f32"));
  CHECK(unknown.code == 2);
  CHECK_THAT(unknown.err, Contains("f16 is not one of f32, tf32, bf16"));
}

}  // namespace graft::test
