#include "io/hdf5/sandbox.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <csignal>
#include <iterator>
#include <vector>

namespace graft::io {
namespace {

#if defined(__x86_64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "graft-h5-index: add this architecture's AUDIT_ARCH_ constant"
#endif

// What reading a file with pread, allocating memory and ending need.
constexpr unsigned kAllowed[] = {
    __NR_read,           __NR_write,        __NR_pread64,       __NR_lseek,        __NR_fstat,
    __NR_close,          __NR_brk,          __NR_munmap,        __NR_mremap,       __NR_madvise,
    __NR_futex,          __NR_getrandom,    __NR_clock_gettime, __NR_gettimeofday, __NR_rt_sigaction,
    __NR_rt_sigprocmask, __NR_rt_sigreturn, __NR_exit,          __NR_exit_group,
#ifdef __NR_newfstatat
    __NR_newfstatat,  // glibc's fstat; it opens nothing
#endif
};

// Not above what already holds (`ulimit`): nobody but root may raise that.
bool set_limit(__rlimit_resource resource, rlim_t value) {
  rlimit limit;
  if (getrlimit(resource, &limit) != 0) return false;
  limit.rlim_max = std::min(limit.rlim_max, value);
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(resource, &limit) == 0;
}

}  // namespace

const char* limit_resources(const SandboxLimits& limits) {
  if (!set_limit(RLIMIT_CORE, 0)) return "a limit of core dumps";
  if (!set_limit(RLIMIT_FSIZE, 0)) return "a limit of file size";
  if (!set_limit(RLIMIT_NOFILE, 4)) return "a limit of open files";
  if (!set_limit(RLIMIT_CPU, limits.cpu_seconds)) return "a limit of processor time";
  if (!set_limit(RLIMIT_AS, limits.memory_bytes)) return "a limit of memory";
  return nullptr;
}

const char* restrict_system_calls() {
  std::vector<sock_filter> program;
  const auto load = [&](size_t offset) {
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(offset)));
  };
  // if (accumulator == value) skip `yes` instructions, else skip `no`
  const auto jump_if = [&](unsigned value, unsigned char yes, unsigned char no) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no));
  };
  const auto give = [&](unsigned verdict) { program.push_back(BPF_STMT(BPF_RET | BPF_K, verdict)); };

  load(offsetof(seccomp_data, arch));
  jump_if(kArchitecture, 1, 0);
  give(SECCOMP_RET_KILL_PROCESS);

  load(offsetof(seccomp_data, nr));
  for (unsigned call : kAllowed) {
    jump_if(call, 0, 1);
    give(SECCOMP_RET_ALLOW);
  }
  for (unsigned call : {__NR_mmap, __NR_mprotect}) {  // the third argument of both: the protection
    jump_if(call, 0, 4);
    load(offsetof(seccomp_data, args[2]));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1));
    give(SECCOMP_RET_KILL_PROCESS);
    give(SECCOMP_RET_ALLOW);
  }
  give(SECCOMP_RET_KILL_PROCESS);

  const sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return "no_new_privs";
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0) return "seccomp filters";
  return nullptr;
}

}  // namespace graft::io
