// A peer without a library behind it: the reference computes. Its first argument says how it misbehaves:
//   right, wrong (one number of each result), dies (when it is to compute), silent (the same), garbage (instead of
//   hello), refuses (with a text), fails-timing, other-version
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "bench/libtorch/peer_io.h"
#include "kernels/reference/reference_backend.h"

namespace {

using namespace graft;
using namespace graft::bench;

class Fake final : public PeerLibrary {
 public:
  explicit Fake(std::string manner) : manner_(std::move(manner)) { graft_reference_backend(&reference_); }

  bool enter(PeerCase& c) override {
    if (manner_ == "unsupported") return false;
    if (manner_ == "refuses") throw std::runtime_error("no such op here\nand a second line");
    case_ = &c;
    return true;
  }
  void call() override {
    if (manner_ == "fails-timing" && had_results_++ > 1) throw std::runtime_error("out of breath");
    if (manner_ == "dies") {
      std::fprintf(stderr, "first words\nmy last words\n");
      raise(SIGSEGV);
    }
    while (manner_ == "silent") pause();
    CallContext context{.self = reference_.self};
    if (reference_.run[static_cast<int>(case_->primitive)](&context, case_->args.bytes) != Status::ok)
      throw std::runtime_error("the reference refuses");
  }
  void results(PeerCase& c) override {
    call();
    const Roles roles = info_of(c.primitive).roles;
    for (int i = roles.inputs; i < roles.total(); ++i) {
      auto& memory = c.memory[static_cast<size_t>(i)];
      if (memory.empty()) continue;
      c.made |= uint64_t{1} << i;
      if (manner_ == "wrong") *reinterpret_cast<float*>(memory.data() + memory.size() / 8 * 4) += 0.5f;
    }
  }
  void sweep() override {}

 private:
  std::string manner_;
  Backend reference_;
  PeerCase* case_ = nullptr;
  int had_results_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const char* given = std::getenv("FAKE_PEER");
  const std::string manner = given ? given : argc > 1 ? argv[1] : "right";
  if (manner == "garbage") return write(1, std::string(4096, 'x').data(), 4096) == 4096 ? 0 : 1;
  if (manner == "other-version") {
    const PeerHeader hello{.message = PeerMessage::hello, .abi = peer_abi() + 1};
    return write(1, &hello, sizeof hello) == sizeof hello ? pause() : 1;
  }
  Fake fake(manner);
  return serve(fake, "fake", "a reference that is " + manner);
}
