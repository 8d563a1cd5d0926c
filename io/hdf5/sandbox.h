// What graft-h5-index may still do once it looks at a foreign file: compute, read what it holds open, answer, end.
#pragma once
#include <cstddef>

namespace graft::io {

struct SandboxLimits {
  size_t memory_bytes = size_t{512} << 20;  // of address space
  unsigned cpu_seconds = 10;
};

// Limits of memory, time, files and processes. nullptr, or what the kernel refused.
const char* limit_resources(const SandboxLimits& limits);

// From here on every system call but a short list ends the process: it can open, create, execute, connect and signal
// nothing, and make no memory executable. nullptr, or what the kernel refused.
const char* restrict_system_calls();

}  // namespace graft::io
