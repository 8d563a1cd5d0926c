// One stack on which a function runs until it suspends: a CUDA thread, on the host. Boost.Context switches in a few
// nanoseconds.
#pragma once
#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <cstdint>

namespace graft::cuda_on_host {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void start(void (*body)());  // the next resume() enters the body; whatever ran here before is abandoned
  void resume();               // returns when the body suspends or ends
  void suspend();              // called by the body
  uintptr_t stack_begin() const { return reinterpret_cast<uintptr_t>(stack_); }
  uintptr_t stack_end() const { return stack_begin() + kStackBytes; }

  static constexpr size_t kStackBytes = size_t{256} << 10;  // untouched pages cost nothing; sanitizers want much

 private:
  static void enter(boost::context::detail::transfer_t);
  void leave(bool for_good);

  char* stack_;
  void (*body_)() = nullptr;
  boost::context::detail::fcontext_t inside_ = nullptr, outside_ = nullptr;
  // What the address sanitizer wants to know of both stacks.
  void* fake_inside_ = nullptr;
  void* fake_outside_ = nullptr;
  const void* outside_bottom_ = nullptr;
  size_t outside_bytes_ = 0;
};

}  // namespace graft::cuda_on_host
