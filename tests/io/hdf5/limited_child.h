// Runs a function in a child process with limits of memory and time, so that a test outlives what it does to HDF5.
#pragma once
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>

namespace graft::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// What the child wants to say, in memory that both see: it is there even when the child crashes.
struct ChildReport {
  char doing[200] = "";     // what it was at, for the case that it dies
  char problem[1000] = "";  // the first problem
  long long counts[4] = {};
  unsigned char marks[65536] = {};
};

struct ChildLimits {
  rlim_t memory_bytes = rlim_t{1} << 30;  // of address space; a sanitizer's shadow memory does not go into any
  rlim_t cpu_seconds = 240;
};

// `work` reports problems by throwing or by writing into the report. Returns the wait status.
inline int run_in_child(ChildReport*& report, const std::function<void(ChildReport&)>& work, ChildLimits limits = {}) {
  void* shared = mmap(nullptr, sizeof(ChildReport), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(shared != MAP_FAILED);
  report = new (shared) ChildReport;
  std::fflush(nullptr);
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    const rlimit memory = {limits.memory_bytes, limits.memory_bytes}, cpu = {limits.cpu_seconds, limits.cpu_seconds};
    if (!kSanitized) setrlimit(RLIMIT_AS, &memory);
    setrlimit(RLIMIT_CPU, &cpu);
    try {
      work(*report);
    } catch (const std::exception& error) {
      std::snprintf(report->problem, sizeof report->problem, "%s", error.what());
    }
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  return status;
}

}  // namespace graft::test
