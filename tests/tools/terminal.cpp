// What a person at a terminal sees: a bar that is drawn over itself and goes away; and that a pipe sees none of it.
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <regex>

#include "tests/support/temporary_folder.h"
#include "tests/tools/fixtures.h"
#include "tests/tools/program.h"

using namespace graft::test;
using Catch::Matchers::Contains;

namespace {

struct Shown {
  int code = -1;
  std::string bytes;   // as they came
  std::string screen;  // what is left on it at the end
};

// Carriage returns, line ends and "erase to the end of the line", which is all the program may use.
std::string screen_after(const std::string& bytes) {
  std::string screen, line;
  size_t column = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == '\r') {
      column = 0;
    } else if (bytes[i] == '\n') {
      screen += line + "\n";
      line.clear();
    } else if (bytes.compare(i, 3, "\x1b[K") == 0) {
      line.resize(std::min(column, line.size()));
      i += 2;
    } else {
      line.resize(std::max(line.size(), column + 1), ' ');
      line[column++] = bytes[i];
    }
  }
  return screen + line;
}

Shown run_on_terminal(const std::vector<std::string>& arguments, const std::filesystem::path& folder) {
  int terminal = -1;
  const winsize size = {.ws_row = 24, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
  const pid_t pid = forkpty(&terminal, nullptr, nullptr, &size);
  REQUIRE(pid >= 0);
  if (pid == 0) {
    std::vector<char*> argv = {const_cast<char*>("graft")};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    setenv("GRAFT_PROGRESS_SECONDS", "0", 1);  // every step is drawn, however fast the machine
    if (chdir(folder.c_str()) == 0) execv(GRAFT_PROGRAM, argv.data());
    _exit(127);
  }
  Shown shown;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(terminal, buffer, sizeof buffer)) > 0;)  // EIO once the program is gone
    shown.bytes.append(buffer, static_cast<size_t>(n));
  int status = 0;
  waitpid(pid, &status, 0);
  close(terminal);
  shown.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  shown.screen = screen_after(shown.bytes);
  return shown;
}

bool has_control_characters(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 32 && c != '\n'; });
}

// The bar, how far it is, rate and time left, drawn more than once over itself.
void check_bar(const Shown& shown, const std::string& what) {
  INFO(shown.bytes);
  CHECK(shown.code == 0);
  const std::regex bar("\r\\[#*\\.*\\] " + what +
                       " [0-9]+ of [0-9]+, [0-9.]+/s, ([0-9]+ s|[0-9]+:[0-9:]+) left[^\r\n]*\x1b\\[K");
  const auto drawn = std::distance(std::sregex_iterator(shown.bytes.begin(), shown.bytes.end(), bar), {});
  CHECK(drawn >= 2);
  CHECK(shown.screen.find("[#") == std::string::npos);
  CHECK(shown.screen.find(" left") == std::string::npos);
  CHECK(shown.screen.find('\x1b') == std::string::npos);
}

}  // namespace

TEST_CASE("on a terminal a bar shows rate and time left, is drawn over itself and is gone at the end") {
  const TemporaryFolder folder;
  make_squares(folder / "squares", 4);
  const std::vector<std::string> train = {"train",    "squares", "--scratch", "resnet20", "-o",        "out.h5",
                                          "--epochs", "1",       "--batch",   "1",        "--threads", "1"};
  const auto training = run_on_terminal(train, folder.path());
  check_bar(training, "epoch 1 of 1, train");
  CHECK_THAT(training.screen, Contains("epoch  training: loss") && Contains("best: epoch 1"));

  const std::vector<std::string> predict = {"predict", "out.h5", "squares", "--device", "reference", "--batch", "1"};
  const auto predicting = run_on_terminal(predict, folder.path());
  check_bar(predicting, "photos");
  CHECK_THAT(predicting.screen, Contains("squares/blue/0.png\n") && Contains("squares/red/3.png\n"));

  // the same into a pipe
  std::filesystem::remove(folder / "out.h5");
  std::filesystem::remove(folder / "out.last.h5");
  for (const auto& arguments : {train, predict}) {
    const auto piped = run_graft(arguments, {.folder = folder.path()});
    INFO(piped.out << piped.err);
    CHECK(piped.code == 0);
    CHECK_FALSE(has_control_characters(piped.out));
    CHECK_FALSE(has_control_characters(piped.err));
    CHECK(piped.err.find("[#") == std::string::npos);
  }
}

TEST_CASE("in a pipe plain lines come now and then, by a clock that goes on from one epoch to the next") {
  const TemporaryFolder folder;
  make_squares(folder / "squares", 4);
  write_tiny_model(folder / "tiny.h5", {"x", "y"});
  const auto lines_of_run = [&](const char* seconds, const char* epochs) {
    const auto run =
        run_graft({"train", "squares", "--from", "tiny.h5", "--train", "fc", "--epochs", epochs, "--overwrite"},
                  {.folder = folder.path(), .environment = {std::string("GRAFT_PROGRESS_SECONDS=") + seconds}});
    INFO(run.err);
    CHECK(run.code == 0);
    CHECK_FALSE(has_control_characters(run.err));
    const std::regex line("epoch [0-9]+ of [0-9]+, (train|validate) [0-9]+ of [0-9]+[^\n]*, loss [0-9.]+\n");
    CHECK(std::regex_replace(run.err, line, "").empty());
    return std::distance(std::sregex_iterator(run.err.begin(), run.err.end(), line), {});
  };
  CHECK(lines_of_run("0", "2") == 4);  // 9 photos to train on and 3 to validate on: a batch each
  CHECK(lines_of_run("3600", "2") == 0);
  CHECK(lines_of_run("0.2", "200") >= 1);  // each epoch takes a few milliseconds
}
