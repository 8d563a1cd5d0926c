// What a program asks of a backend while it trains: how often it allocates, waits, launches and replays.
#pragma once
#include <vector>

#include "contract/backend.h"

namespace graft::test {

struct CountedCalls {
  int allocations = 0;                 // of device or page-locked memory
  int synchronisations = 0;            // of a stream; and copies from or to pageable memory, which are waits too
  int primitives = 0, executions = 0;  // one by one: of a primitive, of a compiled piece
  int captures = 0, replays = 0;
  std::vector<EventHandle> waited_for;  // by the host
  std::vector<EventHandle> recorded;    // in the device's own order of work
};

// Counts from now on, for one backend at a time.
CountedCalls& count_calls(Backend* backend);

}  // namespace graft::test
