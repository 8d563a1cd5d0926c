// Names for a profiler around what a thread calls: DeviceFunctions::begin_range and end_range.
#pragma once

namespace graft::cuda {

void begin_range(const char* name);
void end_range();

}  // namespace graft::cuda
