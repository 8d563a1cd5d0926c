#include "bench/peer_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace graft::bench {

namespace {

void close_file(int& file) {
  if (file >= 0) close(file);
  file = -1;
}

}  // namespace

PeerProcess::PeerProcess(const std::vector<std::string>& command, std::chrono::milliseconds patience)
    : name_(command.front()), patience_(patience) {
  int in[2], out[2], started[2];  // `started` closes when the program runs, or says why it does not
  GRAFT_CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(started, O_CLOEXEC) == 0,
              "cannot make a pipe: {}", std::strerror(errno));
  words_ = memfd_create("peer", MFD_CLOEXEC);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    dup2(in[0], 0), dup2(out[1], 1);
    if (words_ >= 0) dup2(words_, 2);
    signal(SIGPIPE, SIG_DFL), signal(SIGXFSZ, SIG_DFL);
    signal(SIGINT, SIG_IGN);  // Ctrl-C is for graft, which then closes our input
    execv(arguments[0], arguments.data());
    const int error = errno;
    if (::write(started[1], &error, sizeof error) < 0) _exit(126);
    _exit(127);
  }
  const int fork_error = errno;
  close(in[0]), close(out[1]), close(started[1]);
  to_ = in[1], from_ = out[0];
  fcntl(to_, F_SETFL, O_NONBLOCK), fcntl(from_, F_SETFL, O_NONBLOCK);
  int error = pid_ < 0 ? fork_error : 0;
  if (pid_ > 0 && ::read(started[0], &error, sizeof error) != sizeof error) error = 0;
  close(started[0]);
  if (error != 0) {
    close_file(to_), close_file(from_), close_file(words_);
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
    fail("cannot start {}: {}", name_, std::strerror(error));
  }
}

PeerProcess::~PeerProcess() {
  close_file(to_), close_file(from_), close_file(words_);
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

std::string PeerProcess::last_words() const {
  char text[4096];
  const off_t end = words_ < 0 ? 0 : lseek(words_, 0, SEEK_END);
  const off_t begin = std::max<off_t>(0, end - static_cast<off_t>(sizeof text));
  const ssize_t got = end <= 0 ? 0 : pread(words_, text, sizeof text, begin);
  std::string words(text, static_cast<size_t>(std::max<ssize_t>(got, 0)));
  while (!words.empty() && words.back() == '\n') words.pop_back();
  const size_t line = words.rfind('\n');
  if (line != words.npos) words.erase(0, line + 1);
  return words.empty() ? "" : "; it last said: " + words;
}

void PeerProcess::has_ended() {
  int status = 0;
  const pid_t waited = pid_;
  kill(pid_, SIGKILL);  // one that has only closed its output
  pid_ = -1;
  if (waitpid(waited, &status, 0) != waited) status = 0;
  if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
    fail("{} was ended by signal {} ({}){}", name_, WTERMSIG(status), strsignal(WTERMSIG(status)), last_words());
  if (WIFEXITED(status)) fail("{} ended with exit code {}{}", name_, WEXITSTATUS(status), last_words());
  fail("{} stopped answering{}", name_, last_words());
}

void PeerProcess::wait_for(int file, short event) {
  pollfd wanted = {file, event, 0};
  for (;;) {
    const int ready = poll(&wanted, 1, static_cast<int>(patience_.count()));
    if (ready > 0) return;
    if (ready < 0 && errno == EINTR) continue;
    fail("{} has not answered for {:.3g} s{}", name_, static_cast<double>(patience_.count()) / 1000, last_words());
  }
}

void PeerProcess::write(const void* data, size_t bytes) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    if (pid_ < 0) fail("{} has ended", name_);
    const ssize_t done = ::write(to_, next, bytes);
    if (done > 0) {
      next += done, bytes -= static_cast<size_t>(done);
    } else if (done < 0 && (errno == EAGAIN || errno == EINTR)) {
      wait_for(to_, POLLOUT);
    } else {
      has_ended();
    }
  }
}

void PeerProcess::read(void* data, size_t bytes) {
  char* next = static_cast<char*>(data);
  while (bytes > 0) {
    if (pid_ < 0) fail("{} has ended", name_);
    const ssize_t done = ::read(from_, next, bytes);
    if (done > 0) {
      next += done, bytes -= static_cast<size_t>(done);
    } else if (done < 0 && (errno == EAGAIN || errno == EINTR)) {
      wait_for(from_, POLLIN);
    } else {
      has_ended();
    }
  }
}

}  // namespace graft::bench
