#include "io/hdf5/guarded_index.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/error.h"

namespace graft::io {
namespace {

using Clock = std::chrono::steady_clock;
constexpr const char* kHelper = "graft-h5-index";

struct Descriptor {
  int fd = -1;
  ~Descriptor() { close(); }
  void close() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

// Standard input is the file, standard output the pipe; nothing else is inherited, no environment, no blocked signals.
// Spawned, not forked: a copy of a large process would need its memory twice, and its threads' locks are taken.
pid_t spawn(const std::filesystem::path& helper, int file, int answer, const std::string& name) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, file, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, answer, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  char program[] = "graft-h5-index";
  char* const arguments[] = {program, nullptr};
  char* const environment[] = {nullptr};
  pid_t pid = -1;
  const int error = posix_spawn(&pid, helper.c_str(), &actions, &attributes, arguments, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  GRAFT_CHECK(error == 0, "{}: cannot start {}: {}", name, helper.string(), std::strerror(error));
  return pid;
}

// Reads until the helper closes its end. False when the time is up or the answer is longer than any index.
bool read_answer(int pipe, Clock::time_point deadline, std::string& answer) try {
  char buffer[16384];
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd ready = {pipe, POLLIN, 0};
    const int events = poll(&ready, 1, static_cast<int>(left));
    if (events == 0 || (events < 0 && errno == EINTR)) continue;
    const ssize_t n = events < 0 ? -1 : read(pipe, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (n == 0) return true;
    if (answer.size() + static_cast<size_t>(n) > kMaxIndexBytes) return false;
    answer.append(buffer, static_cast<size_t>(n));
  }
} catch (const std::bad_alloc&) {
  return false;  // the helper still has to be waited for
}

// How the helper ended; a process that ignores SIGCHLD never learns it.
enum class Ending { answered, failed, unknown };

// The helper has until the deadline to end by itself.
Ending wait_for(pid_t pid, Clock::time_point deadline, int& status) {
  for (;;) {
    const bool killed = Clock::now() >= deadline;
    if (killed) kill(pid, SIGKILL);
    const pid_t got = waitpid(pid, &status, killed ? 0 : WNOHANG);
    if (got == pid) return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? Ending::answered : Ending::failed;
    if (got < 0 && errno != EINTR) return Ending::unknown;
    if (got == 0) poll(nullptr, 0, 1);
  }
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status))
    return fmt::format("was ended by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return fmt::format("ended with exit code {}", WEXITSTATUS(status));
}

}  // namespace

std::filesystem::path find_index_helper() {
  std::error_code ignored;
  if (const char* given = secure_getenv("GRAFT_H5_INDEX")) {
    GRAFT_CHECK(std::filesystem::is_regular_file(given, ignored), "GRAFT_H5_INDEX names {}, which is not a program",
                given);
    return given;
  }
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  const auto full = std::filesystem::path(GRAFT_HELPER_FULL_DIR) / kHelper;
  const std::filesystem::path places[] = {folder / kHelper, folder.parent_path() / GRAFT_HELPER_DIR / kHelper, full};
  for (const auto& place : places)
    if (std::filesystem::is_regular_file(place, ignored)) return place;
  fail("{} is missing: it belongs beside the program or in {}; GRAFT_H5_INDEX can say where it is", kHelper,
       full.parent_path().string());
}

Index guarded_index(const File& file, std::chrono::milliseconds patience) {
  const std::string name = file.name();
  const auto helper = find_index_helper();
  int ends[2];
  GRAFT_CHECK(pipe2(ends, O_CLOEXEC) == 0, "{}: cannot make a pipe: {}", name, std::strerror(errno));
  Descriptor read_end{ends[0]}, low_end{ends[1]};
  // Above the standard three, or they would overwrite each other in the helper (a caller may have closed its own).
  Descriptor write_end{fcntl(low_end.fd, F_DUPFD_CLOEXEC, 3)}, input{fcntl(file.descriptor(), F_DUPFD_CLOEXEC, 3)};
  low_end.close();
  GRAFT_CHECK(write_end.fd >= 0 && input.fd >= 0, "{}: too many open files: {}", name, std::strerror(errno));

  const auto deadline = Clock::now() + patience;
  const pid_t pid = spawn(helper, input.fd, write_end.fd, name);
  write_end.close();
  std::string answer;
  const bool complete = read_answer(read_end.fd, deadline, answer);
  int status = 0;
  const Ending ending = wait_for(pid, complete ? deadline : Clock::now(), status);
  GRAFT_CHECK(complete, "{}: {} gave no answer within {} s; the file is damaged or hostile", name, kHelper,
              std::chrono::duration<double>(patience).count());
  GRAFT_CHECK(ending != Ending::failed, "{}: {} {} while it read the file, which is damaged or hostile", name, kHelper,
              how_it_ended(status));
  file.check_unchanged();
  return decode_answer(answer, static_cast<uint64_t>(file.size()), name);
}

}  // namespace graft::io
