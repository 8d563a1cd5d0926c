// What people, disks and attackers hand to the program: a clear message, an exit code, nothing half-written.
#include <catch2/catch.hpp>
#include <set>

#include "tests/support/temporary_folder.h"
#include "tests/tools/fixtures.h"
#include "tests/tools/program.h"

using namespace graft::test;
using Catch::Matchers::Contains;

namespace {

namespace fs = std::filesystem;
const fs::path kTorchFiles = fs::path(GRAFT_SOURCE_DIR) / "tests/io/torch/files";

// Exit code 1, one message that begins as all do, nothing printed as an answer.
void check_refused(const Outcome& run, const std::vector<const char*>& words) {
  INFO(run.err);
  CHECK(run.code == 1);
  CHECK(run.out.empty());
  CHECK_THAT(run.err, Catch::Matchers::StartsWith("graft: "));
  for (const char* word : words) CHECK_THAT(run.err, Contains(word));
  CHECK(run.err.find("defect") == std::string::npos);
}

class Desk {
 public:
  Desk() {
    write_tiny_model(folder_ / "tiny.h5", {"blue", "green", "red"});
    make_squares(folder_ / "squares", 3);
  }
  Outcome run(const std::vector<std::string>& arguments, int64_t file_bytes = 0) const {
    return run_graft(arguments, {.folder = folder_.path(), .file_bytes = file_bytes});
  }
  fs::path operator/(const std::string& name) const { return folder_ / name; }
  std::vector<std::string> listing() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  TemporaryFolder folder_;
};

}  // namespace

TEST_CASE("files that are missing, folders for files, files for folders") {
  const Desk desk;
  check_refused(desk.run({"predict", "none.h5", "squares"}), {"none.h5"});
  check_refused(desk.run({"predict", "squares", "squares"}), {"squares"});
  check_refused(desk.run({"convert", "none.pth"}), {"none.pth"});
  check_refused(desk.run({"convert", "squares"}), {"squares"});
  check_refused(desk.run({"evaluate", "tiny.h5", "none"}), {"none"});
  check_refused(desk.run({"evaluate", "tiny.h5", "tiny.h5"}), {"tiny.h5"});
  check_refused(desk.run({"train", "none", "--from", "tiny.h5"}), {"none"});
  check_refused(desk.run({"train", "squares", "--from", "none.h5"}), {"none.h5"});
  check_refused(desk.run({"train", "squares", "--scratch", "resnet19"}), {"resnet19", "did you mean resnet1"});
  check_refused(desk.run({"forward", "tiny.h5", "none.npy", "-o", "x.npy"}), {"none.npy"});
  check_refused(desk.run({"features", "tiny.h5", "squares", "-o", "no/such/folder/f.h5"}), {"no/such/folder"});
  check_refused(desk.run({"features", "tiny.h5", "squares", "-o", "squares"}), {"squares"});
  check_refused(desk.run({"convert", (kTorchFiles / "small.pth").string()}), {"small.pth"});  // no network's tensors
  check_refused(desk.run({"predict", (kTorchFiles / "small.pth").string(), "squares"}),
                {"small.pth is a PyTorch file (a zip archive)", "graft convert", "-o small.h5"});
  check_refused(desk.run({"train", "squares", "--from", (kTorchFiles / "small.th").string()}),
                {"small.th is a PyTorch file (a pickle)", "graft convert", "-o small.h5"});
  CHECK(desk.listing() == std::vector<std::string>{"squares", "tiny.h5"});
}

TEST_CASE("model files that are cut short or have a flipped bit") {
  const Desk desk;
  const std::string whole = read_file(desk / "tiny.h5");
  for (const double part : {0.0, 0.01, 0.5, 0.9, 0.999}) {
    write_text(desk / "cut.h5", whole.substr(0, static_cast<size_t>(part * static_cast<double>(whole.size()))));
    check_refused(desk.run({"predict", "cut.h5", "squares", "--quiet"}), {"cut.h5"});
  }
  // The weights themselves: every tensor has a sum.
  const auto undamaged = desk.run({"predict", "tiny.h5", "squares/red/0.png"});
  REQUIRE(undamaged.code == 0);
  int damaged = 0;
  for (size_t at = 3; at < whole.size(); at += whole.size() / 40) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 4);
    write_text(desk / "flip.h5", bytes);
    const auto run = desk.run({"predict", "flip.h5", "squares/red/0.png"});
    INFO(at);
    if (run.code == 0)  // in what is not read, or says the same
      CHECK(run.out == undamaged.out);
    else
      check_refused(run, {"flip.h5"});
    damaged += run.code == 1;
  }
  CHECK(damaged > 10);
}

TEST_CASE("weights that are cut short, run code, claim too much or belong elsewhere") {
  const Desk desk;
  const std::string small = read_file(kTorchFiles / "small.pth");
  write_text(desk / "cut.pth", small.substr(0, small.size() / 2));
  check_refused(desk.run({"convert", "cut.pth", "-o", "out.h5"}), {"cut.pth"});

  // A pickle whose loading calls os.system("touch …"): protocol 2, GLOBAL posix.system, REDUCE.
  const std::string victim = (desk / "executed").string();
  write_text(desk / "evil.pth", std::string("\x80\x02"
                                            "cposix\nsystem\nX") +
                                    std::string{static_cast<char>(victim.size() + 6), '\0', '\0', '\0'} + "touch " +
                                    victim + "\x85R.");
  check_refused(desk.run({"convert", "evil.pth", "-o", "out.h5"}), {"evil.pth"});
  CHECK_FALSE(fs::exists(victim));

  // Flipped bits never crash it; they are found, or in what is not read.
  for (size_t at = 0; at < small.size(); at += small.size() / 25 + 1) {
    std::string bytes = small;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x20);
    write_text(desk / "flip.pth", bytes);
    check_refused(desk.run({"convert", "flip.pth", "-o", "out.h5"}), {"flip.pth"});
  }

  // For another network: a table of what does not fit.
  check_refused(desk.run({"convert", (kTorchFiles / "small.pth").string(), "--arch", "resnet18", "-o", "out.h5"}),
                {"resnet18", "conv1.weight"});
  check_refused(desk.run({"convert", (kTorchFiles / "small.pth").string(), "--arch", "resnte18", "-o", "out.h5"}),
                {"resnte18", "did you mean resnet18"});
  CHECK_FALSE(fs::exists(desk / "out.h5"));
}

TEST_CASE("a zip whose contents claim gigabytes is refused without unpacking them") {
  const Desk desk;
  // One deflated entry, archive/data.pkl, of 4 GB minus one by its own account, in 40 bytes.
  const auto u16 = [](uint32_t v) { return std::string{static_cast<char>(v), static_cast<char>(v >> 8)}; };
  const auto u32 = [&](uint32_t v) { return u16(v & 0xFFFF) + u16(v >> 16); };
  const std::string name = "archive/data.pkl", data(40, '\0');
  const std::string fields = u16(20) + u16(0) + u16(8) + u32(0) + u32(0) + u32(40) + u32(0xFFFFFFFE) + u16(16) + u16(0);
  const std::string local = "PK\3\4" + fields + name + data;
  const std::string central = "PK\1\2" + u16(20) + fields + u16(0) + u16(0) + u16(0) + u32(0) + u32(0) + name;
  const std::string end = "PK\5\6" + u16(0) + u16(0) + u16(1) + u16(1) + u32(static_cast<uint32_t>(central.size())) +
                          u32(static_cast<uint32_t>(local.size())) + u16(0);
  write_text(desk / "bomb.pth", local + central + end);
  const auto run = desk.run({"convert", "bomb.pth"});
  check_refused(run, {"bomb.pth"});
  CHECK(run.peak_bytes < 300'000'000);
}

TEST_CASE("a picture that claims 100,000 x 100,000 pixels, among good ones") {
  const Desk desk;
  std::string png = read_file(desk / "squares/red/0.png");
  const std::string size("\0\1\x86\xA0", 4);
  png.replace(16, 8, size + size);
  // the header's own checksum, recomputed: CRC-32 of "IHDR" and its 13 bytes
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 12; i < 29; ++i) {
    crc ^= static_cast<unsigned char>(png[i]);
    for (int k = 0; k < 8; ++k) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  crc = ~crc;
  for (size_t i = 0; i < 4; ++i) png[29 + i] = static_cast<char>(crc >> (24 - 8 * i));
  write_text(desk / "squares/red/huge.png", png);
  const auto run = desk.run({"predict", "tiny.h5", "squares/red"});
  CHECK(run.code == 1);
  CHECK_THAT(run.err, Contains("huge.png") && Contains("100000"));
  CHECK(std::count(run.out.begin(), run.out.end(), '\n') == 3 * 4);
  CHECK(run.peak_bytes < 300'000'000);
}

TEST_CASE("folders that hold no data set") {
  const Desk desk;
  fs::create_directory(desk / "squares/yellow");
  check_refused(desk.run({"train", "squares", "--from", "tiny.h5"}), {"yellow", "holds no JPEG or PNG photo"});
  fs::remove(desk / "squares/yellow");
  fs::remove_all(desk / "squares/red");
  fs::remove_all(desk / "squares/green");
  check_refused(desk.run({"train", "squares", "--from", "tiny.h5"}), {"one class, blue"});
  fs::remove_all(desk / "squares/blue");
  check_refused(desk.run({"train", "squares", "--from", "tiny.h5"}), {"squares", "no class folders"});
  check_refused(desk.run({"predict", "tiny.h5", "squares"}), {"no photo"});
  CHECK(desk.listing() == std::vector<std::string>{"squares", "tiny.h5"});
}

TEST_CASE("a freeze pattern that matches nothing, and a freeze that leaves nothing") {
  const Desk desk;
  check_refused(desk.run({"inspect", "tiny.h5", "--freeze", "conv9"}),
                {"conv9; did you mean conv1", "graft inspect MODEL.h5"});
  const auto far = desk.run({"inspect", "tiny.h5", "--train", "classifier"});
  check_refused(far, {"no layer of", "graft inspect MODEL.h5"});
  CHECK(far.err.find("did you mean") == std::string::npos);  // nothing is near
  check_refused(desk.run({"train", "squares", "--from", "tiny.h5", "-o", "x.h5", "--train", "head"}), {"head"});
  check_refused(desk.run({"train", "squares", "--from", "tiny.h5", "-o", "x.h5", "--freeze", "*"}), {"frozen"});
  write_tiny_model(desk / "other.h5", {"x", "y"});
  check_refused(desk.run({"train", "squares", "--from", "other.h5", "-o", "x.h5", "--train", "conv2"}),
                {"fc", "the classes are new"});
  CHECK(desk.listing() == std::vector<std::string>{"other.h5", "squares", "tiny.h5"});
}

TEST_CASE("class names that do not fit") {
  const Desk desk;
  write_text(desk / "names.txt", "a\nb\na\n");
  check_refused(desk.run({"convert", (kTorchFiles / "small.pth").string(), "--classes", "names.txt"}), {"small.pth"});
  // three class folders, a model of two classes without names
  const auto none = desk.run({"evaluate", "tiny.h5", "squares/red"});
  check_refused(none, {"no class folders"});
}

TEST_CASE("no space left while saving: what was there stays, nothing half-written appears") {
  const Desk desk;
  const int64_t limit = 4096;
  check_refused(desk.run({"features", "tiny.h5", "squares", "-o", "f.h5"}, 600), {"f.h5"});
  CHECK(desk.listing() == std::vector<std::string>{"squares", "tiny.h5"});

  // A model that is already there survives a training run that cannot save.
  fs::copy_file(desk / "tiny.h5", desk / "out.h5");
  const std::string before = read_file(desk / "out.h5");
  REQUIRE(before.size() > static_cast<size_t>(limit));
  const auto run =
      desk.run({"train", "squares", "--from", "tiny.h5", "-o", "out.h5", "--epochs", "1", "--quiet"}, limit);
  INFO(run.err);
  CHECK(run.code == 1);
  CHECK_THAT(run.err, Contains("graft: cannot write out"));
  CHECK(read_file(desk / "out.h5") == before);
  for (const std::string& name : desk.listing()) CHECK(name.find(".tmp-") == std::string::npos);
}

TEST_CASE("the result never replaces what it is made from") {
  const Desk desk;
  check_refused(desk.run({"train", "squares", "--from", "tiny.h5", "-o", "tiny.h5"}), {"tiny.h5", "another name"});
  check_refused(desk.run({"features", "tiny.h5", "squares", "-o", "./tiny.h5"}), {"tiny.h5", "another name"});
  fs::copy_file(kTorchFiles / "small.pth", desk / "w.pth");
  CHECK(desk.run({"convert", "w.pth", "-o", "w.pth"}).code == 1);
  CHECK(read_file(desk / "w.pth") == read_file(kTorchFiles / "small.pth"));
}

TEST_CASE("what training made is replaced only when it is said") {
  const Desk desk;
  const std::vector<std::string> train = {"train",  "squares",  "--from", "tiny.h5", "-o",
                                          "out.h5", "--epochs", "1",      "--quiet"};
  REQUIRE(desk.run(train).code == 0);
  const std::string before = read_file(desk / "out.h5");
  check_refused(desk.run(train), {"out.h5 is there already", "--overwrite"});
  check_refused(desk.run({"features", "tiny.h5", "squares", "-o", "out.h5"}),
                {"out.h5 is there already", "--overwrite"});
  check_refused(desk.run({"features", "tiny.h5", "squares", "-o", "out.last.h5"}), {"out.last.h5 is there already"});
  CHECK(read_file(desk / "out.h5") == before);
  auto again = train;
  again.insert(again.end(), {"--overwrite", "--seed", "3"});
  CHECK(desk.run(again).code == 0);
  CHECK(read_file(desk / "out.h5") != before);
  again.push_back("--resume");
  CHECK(desk.run(again).code == 2);

  // what a command makes again is replaced
  for (int i = 0; i < 2; ++i) CHECK(desk.run({"features", "tiny.h5", "squares", "-o", "f.h5"}).code == 0);
  check_refused(desk.run({"features", "tiny.h5", "squares", "-o", "f.h5", "--layer", "layer9"}),
                {"has no layer layer9", "`graft inspect MODEL.h5` lists its layers"});
  // and neither is a model
  check_refused(desk.run({"predict", "f.h5", "squares"}), {"f.h5: this is a file of features, of layer"});
  check_refused(desk.run({"predict", "out.last.h5", "squares"}),
                {"out.last.h5: this is the checkpoint of a training run", "without .last"});
}

TEST_CASE("a data set that came divided: which part to evaluate") {
  const Desk desk;
  fs::create_directory(desk / "all");
  fs::rename(desk / "squares", desk / "all/train");
  make_squares(desk / "all/val", 2, 5);
  check_refused(desk.run({"evaluate", "tiny.h5", "all"}),
                {"all is a data set that came divided", "all/val or all/train"});
  check_refused(desk.run({"features", "tiny.h5", "all", "-o", "f.h5"}), {"all/val or all/train"});
  CHECK(desk.run({"evaluate", "tiny.h5", "all/val"}).code == 0);
}

TEST_CASE("a result that cannot be written where it is wanted is refused before the work") {
  const Desk desk;
  fs::create_directories(desk / "sub/dir.h5");
  fs::create_directories(desk / "squares.h5");
  const auto files = [&] {
    std::set<fs::path> all;
    for (const auto& entry : fs::recursive_directory_iterator(desk / "")) all.insert(entry.path());
    return all;
  };
  const auto before = files();
  const std::vector<std::vector<std::string>> commands = {{"train", "squares", "--from", "tiny.h5"},
                                                          {"convert", "none.pth"},
                                                          {"features", "tiny.h5", "squares"},
                                                          {"forward", "tiny.h5", "none.npy"},
                                                          {"gradients", "tiny.h5", "none.npy", "--labels", "none.npy"}};
  for (auto command : commands) {
    INFO(command[0]);
    command.insert(command.end(), {"-o", ""});
    for (const char* output : {"sub", "sub/", "new/", ".", "..", "sub/..", "sub/dir.h5"}) {
      command.back() = output;
      check_refused(desk.run(command), {output, "this is a folder", "-o"});
    }
    command.back() = "nowhere/a.h5";
    check_refused(desk.run(command), {"nowhere/a.h5: there is no folder nowhere; make it"});
    command.back() = "";
    const auto empty = desk.run(command);
    CHECK(empty.code == 2);
    CHECK_THAT(empty.err, Contains("--output: the name of the file to write is empty"));
  }
  check_refused(desk.run({"train", "squares", "--from", "tiny.h5"}), {"squares.h5: this is a folder"});  // the default
  check_refused(desk.run({"train", "squares", "--from", "tiny.h5", "-o", "sub/dir"}), {"sub/dir.h5: this is a folder"});
  CHECK(files() == before);
}
