#include "tests/cuda_on_host/fiber.h"

#include <sys/mman.h>

#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace graft::cuda_on_host {
namespace {
constexpr size_t kGuardBytes = 4096;  // below the stack: an overflow is a fault, not a corruption
}

Fiber::Fiber() {
  void* memory = mmap(nullptr, kStackBytes + kGuardBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, kGuardBytes, PROT_NONE);
  stack_ = static_cast<char*>(memory) + kGuardBytes;
}

Fiber::~Fiber() { munmap(stack_ - kGuardBytes, kStackBytes + kGuardBytes); }

void Fiber::start(void (*body)()) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack_, kStackBytes);  // an abandoned body leaves its frames behind
  fake_inside_ = nullptr;
#endif
  body_ = body;
  inside_ = boost::context::detail::make_fcontext(stack_ + kStackBytes, kStackBytes, &Fiber::enter);
}

void Fiber::resume() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&fake_outside_, stack_, kStackBytes);
#endif
  inside_ = boost::context::detail::jump_fcontext(inside_, this).fctx;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_outside_, nullptr, nullptr);
#endif
}

void Fiber::leave([[maybe_unused]] bool for_good) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_inside_, outside_bottom_, outside_bytes_);
#endif
  outside_ = boost::context::detail::jump_fcontext(outside_, nullptr).fctx;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_inside_, &outside_bottom_, &outside_bytes_);
#endif
}

void Fiber::suspend() { leave(false); }

void Fiber::enter(boost::context::detail::transfer_t from) {
  auto& fiber = *static_cast<Fiber*>(from.data);
  fiber.outside_ = from.fctx;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &fiber.outside_bottom_, &fiber.outside_bytes_);
#endif
  fiber.body_();
  fiber.leave(true);
}

}  // namespace graft::cuda_on_host
