// A peer's side of bench/peer_protocol.h.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "bench/peer_protocol.h"

namespace graft::bench {

// A case as it came: arguments whose views point into `memory`, outputs among them.
struct PeerCase {
  Primitive primitive = {};
  AnyArgs args;
  std::vector<std::vector<std::byte>> memory;
  uint64_t made = 0;  // views that results() will hold; bit i: view i

  template <typename Args>
  const Args& as() const {
    return *reinterpret_cast<const Args*>(args.bytes);
  }
};

// One library's way of computing a case.
class PeerLibrary {
 public:
  virtual ~PeerLibrary() = default;
  virtual bool enter(PeerCase& c) = 0;    // false: no op for it; throws what it cannot do
  virtual void call() = 0;                // what is timed
  virtual void wait() {}                  // until its work is done
  virtual void results(PeerCase& c) = 0;  // the outputs of one call into the case's memory, `made` says which
  virtual void sweep() = 0;               // cold caches
};

// Says hello and answers until its input ends. Returns the exit code.
int serve(PeerLibrary& library, const std::string& name, const std::string& description);

}  // namespace graft::bench
