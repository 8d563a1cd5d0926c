// What -fsanitize=thread makes a kernel call for each of its accesses. Its library is not linked: these are the only
// definitions.
#include <fmt/format.h>

#include <cstddef>
#include <cstdint>

#include "tests/cuda_on_host/control.h"
#include "tests/cuda_on_host/cuda_on_host.h"
#include "tests/cuda_on_host/findings.h"
#include "tests/cuda_on_host/grid.h"
#include "tests/cuda_on_host/race_checker.h"

namespace graft::cuda_on_host {

void note_atomic(void* p, size_t bytes, const void* pc) {
  if (checking) race_checker().kernel_access(reinterpret_cast<uintptr_t>(p), bytes, Access::atomic, pc);
}

}  // namespace graft::cuda_on_host

#if !defined(__SANITIZE_ADDRESS__)
namespace {

using graft::cuda_on_host::Access;
using graft::cuda_on_host::checking;

inline void hook(const void* p, size_t bytes, Access access, const void* pc) {
  if (checking) graft::cuda_on_host::race_checker().kernel_access(reinterpret_cast<uintptr_t>(p), bytes, access, pc);
}
[[noreturn]] void misaligned(const void* p, size_t bytes, const void* pc) {
  checking = false;
  graft::cuda_on_host::give_up_grid(
      fmt::format("misaligned access of {} bytes at {}, {}", bytes, p, graft::cuda_on_host::describe_code(pc)));
}
// Of a type whose alignment is its size: a GPU faults on any other address.
inline void aligned_hook(const void* p, size_t bytes, Access access, const void* pc) {
  if (!checking) return;
  if (reinterpret_cast<uintptr_t>(p) % bytes) misaligned(p, bytes, pc);
  graft::cuda_on_host::race_checker().kernel_access(reinterpret_cast<uintptr_t>(p), bytes, access, pc);
}

}  // namespace

#define GRAFT_TSAN_HOOKS(n)                                                                                  \
  void __tsan_read##n(void* p) { aligned_hook(p, n, Access::read, __builtin_return_address(0)); }            \
  void __tsan_write##n(void* p) { aligned_hook(p, n, Access::write, __builtin_return_address(0)); }          \
  void __tsan_volatile_read##n(void* p) { aligned_hook(p, n, Access::read, __builtin_return_address(0)); }   \
  void __tsan_volatile_write##n(void* p) { aligned_hook(p, n, Access::write, __builtin_return_address(0)); } \
  void __tsan_unaligned_read##n(void* p) { hook(p, n, Access::read, __builtin_return_address(0)); }          \
  void __tsan_unaligned_write##n(void* p) { hook(p, n, Access::write, __builtin_return_address(0)); }

extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-declarations"
#pragma GCC diagnostic ignored "-Wbuiltin-declaration-mismatch"
GRAFT_TSAN_HOOKS(1)
GRAFT_TSAN_HOOKS(2)
GRAFT_TSAN_HOOKS(4)
GRAFT_TSAN_HOOKS(8)
GRAFT_TSAN_HOOKS(16)
void __tsan_read_range(void* p, size_t n) { hook(p, n, Access::read, __builtin_return_address(0)); }
void __tsan_write_range(void* p, size_t n) { hook(p, n, Access::write, __builtin_return_address(0)); }
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

// Atomics of the launchers' own code (reference counts, guards of local statics): the hook takes the operation's place.
#define GRAFT_TSAN_ATOMICS(bits)                                                                           \
  uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t* p, int) {                       \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                           \
  }                                                                                                        \
  void __tsan_atomic##bits##_store(volatile uint##bits##_t* p, uint##bits##_t v, int) {                    \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                              \
  }                                                                                                        \
  uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t* p, uint##bits##_t v, int) {       \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                                    \
  }                                                                                                        \
  uint##bits##_t __tsan_atomic##bits##_fetch_add(volatile uint##bits##_t* p, uint##bits##_t v, int) {      \
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                                     \
  }                                                                                                        \
  uint##bits##_t __tsan_atomic##bits##_fetch_sub(volatile uint##bits##_t* p, uint##bits##_t v, int) {      \
    return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                                     \
  }                                                                                                        \
  bool __tsan_atomic##bits##_compare_exchange_strong(volatile uint##bits##_t* p, uint##bits##_t* expected, \
                                                     uint##bits##_t v, int, int) {                         \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);         \
  }
GRAFT_TSAN_ATOMICS(8)
GRAFT_TSAN_ATOMICS(16)
GRAFT_TSAN_ATOMICS(32)
GRAFT_TSAN_ATOMICS(64)
#pragma GCC diagnostic pop
}
#endif
