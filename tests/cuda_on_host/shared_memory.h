// The shared memory of the block that runs. Arrays are given places as the block's first thread declares them, apart
// from each other, filled with NaN patterns.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace graft::cuda_on_host {

void begin_shared_memory(size_t dynamic_bytes);  // of the next block
size_t static_shared_bytes();                    // declared by this block so far
std::string describe_shared(uintptr_t address);  // "byte 128 of shared array tile (4224 bytes)"

}  // namespace graft::cuda_on_host
