// NVTX, headers of CUDA's toolkit: a call costs nanoseconds while no profiler is attached. A file of its own, so that
// tests put another in its place and see the names.
#include <nvtx3/nvToolsExt.h>

#include "kernels/cuda/ranges.h"

namespace graft::cuda {

void begin_range(const char* name) { nvtxRangePushA(name); }
void end_range() { nvtxRangePop(); }

}  // namespace graft::cuda
