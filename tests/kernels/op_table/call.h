// Calls of a primitive as the op table makes them: on plain host memory for the reference, or watched, on a backend's
// own memory.
#pragma once
#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "bench/host_call.h"
#include "contract/check_args.h"
#include "core/error.h"
#include "tests/kernels/op_table/backends.h"
#include "tests/kernels/op_table/op_table.h"

namespace graft::test {

using bench::Bytes, bench::HostCall, bench::Tensors, bench::Workspace, bench::element, bench::rounded_to;

// The row's arguments with the type under test in place of `real`.
AnyArgs typed_args(Primitive, const OpRow&, DType);

// Contents of inputs and in-outs as the fills give them, rounded to `rounded`, stored as `stored`: so that runs of any
// type read the same numbers. Outputs hold 0xFF bytes (NaN). A view of its own type bf16 or f16 takes bit patterns from
// the fill.
Tensors contents(Primitive, const OpRow&, DType rounded, DType stored);

struct Placement {
  int elements_off = 0;                   // every tensor begins this many elements after a multiple of 64 bytes
  int aliased_output = -1, aliases = -1;  // this output lies where that input lies
};

struct WatchedResult {
  Status status = Status::ok;
  std::string kernel;
  Tensors tensors;      // after the call
  std::string problem;  // "" or: wrote beside y, changed x, …
};

// Runs in memory of the backend's device. Guards of NaN bytes lie at both ends of each tensor and of the workspace,
// which has exactly the size that the backend asks for.
WatchedResult run_watched(const Backend&, Watch, Primitive, const AnyArgs&, const Tensors&, const OpRow&, Placement);

}  // namespace graft::test
