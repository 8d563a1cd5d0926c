#include "tests/tools/program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace graft::test {

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void become_graft(const std::vector<std::string>& arguments, const RunOptions& o,
                               const std::filesystem::path& scratch) {
  const auto out = o.out.empty() ? scratch / "out" : o.out;
  const int in = open("/dev/null", O_RDONLY), to = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600),
            err = open((scratch / "err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (in < 0 || to < 0 || err < 0 || dup2(in, 0) < 0 || dup2(to, 1) < 0 || dup2(err, 2) < 0) _exit(126);
  if (!o.folder.empty() && chdir(o.folder.c_str()) != 0) _exit(126);
  if (o.file_bytes > 0) {
    const rlimit limit = {static_cast<rlim_t>(o.file_bytes), static_cast<rlim_t>(o.file_bytes)};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(126);
  }
  setenv("GRAFT_PROGRESS_SECONDS", "3600", 0);  // a slow machine writes no more than a fast one
  for (const std::string& variable : o.environment) putenv(const_cast<char*>(variable.c_str()));
  std::vector<char*> argv = {const_cast<char*>("graft")};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv(GRAFT_PROGRAM, argv.data());
  _exit(127);
}

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Program::Program(const std::vector<std::string>& arguments, RunOptions options)
    : options_(std::move(options)), start_(Clock::now()) {
  std::string name = (std::filesystem::temp_directory_path() / "graft-run-XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error("cannot make a temporary folder");
  scratch_ = name;
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ == 0) become_graft(arguments, options_, scratch_);
}

Program::~Program() {
  if (!ended_) {
    kill(pid_, SIGKILL);
    wait();
  }
  std::error_code ignored;
  std::filesystem::remove_all(scratch_, ignored);
}

void Program::signal(int number) const {
  if (!ended_) kill(pid_, number);
}

bool Program::running() {
  if (ended_) return false;
  int status = 0;
  rusage usage{};
  const pid_t got = wait4(pid_, &status, WNOHANG, &usage);
  if (got == 0) return true;
  ended_ = true;
  outcome_.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  outcome_.peak_bytes = static_cast<int64_t>(usage.ru_maxrss) * 1024;
  outcome_.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  return false;
}

std::string Program::out_so_far() const { return read_file(options_.out.empty() ? scratch_ / "out" : options_.out); }

Outcome Program::wait() {
  while (running()) {
    if (Clock::now() - start_ > options_.patience && !outcome_.timed_out) {
      outcome_.timed_out = true;
      kill(pid_, SIGKILL);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (options_.out.empty()) outcome_.out = read_file(scratch_ / "out");
  outcome_.err = read_file(scratch_ / "err");
  return outcome_;
}

std::vector<nlohmann::json> lines_of(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

}  // namespace graft::test
