// Who computes a case: graft's backend, a kernel of the user's, a peer.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bench/host_call.h"
#include "bench/kernel_case.h"

namespace graft::bench {

// One case, ready to run: memory filled, libraries loaded.
class Contestant {
 public:
  virtual ~Contestant() = default;

  // Who it is, and which of its kernels ran.
  virtual std::string by() const = 0;
  virtual std::string kernel() const { return ""; }

  // The case once, from its first contents: what outputs and in-outs hold then. Empty: it does not make that one.
  virtual Tensors results() = 0;

  // Seconds of a call: `samples` of them, each the mean of `calls` in a row. cold: caches are swept before each.
  virtual std::vector<double> time(int64_t samples, int64_t calls, bool cold) = 0;
};

// Somebody who can be asked to compute cases. `enter` answers nothing where this one has no kernel for the case; throws
// Error when something went wrong.
class Entrant {
 public:
  virtual ~Entrant() = default;
  virtual std::string by() const = 0;
  virtual std::string description() const { return ""; }
  virtual std::unique_ptr<Contestant> enter(const KernelCase&) = 0;
};

// The inputs and in-outs of a case as everybody gets them; outputs are empty.
Tensors contents_of(const KernelCase&);

}  // namespace graft::bench
