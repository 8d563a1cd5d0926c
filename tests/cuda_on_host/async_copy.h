// cp.async, run as late as it may be: a thread's copies lie in its queue until it waits for their group, or returns.
#pragma once
#include <cstddef>

namespace graft::cuda_on_host {

void begin_async_copies(size_t threads);  // of the next block
void end_async_copies();                  // of the running thread, which returns

}  // namespace graft::cuda_on_host
