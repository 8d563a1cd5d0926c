// What each kernel asks of memory, from the addresses that its load and store wrappers note. Off unless an AccessLog is
// alive.
//
// The accesses of a warp's lanes belong together when they come from the same call site and each is its lane's n-th
// there: one instruction of the warp. A sector is the 32 bytes that the memory system moves.
#pragma once
#include <cstdint>
#include <map>
#include <string>

namespace graft::cuda_on_host {

struct Traffic {
  uint64_t accesses = 0;           // instructions of a warp
  uint64_t bytes = 0;              // distinct bytes used by each, summed
  uint64_t sectors = 0;            // requested: distinct sectors of each, summed
  uint64_t fewest_sectors = 0;     // that would hold those bytes
  uint64_t sectors_of_blocks = 0;  // distinct in each block, summed over blocks
  uint64_t sectors_of_grid = 0;    // distinct in the whole grid, summed over launches

  double per_access() const { return fewest_sectors ? double(sectors) / double(fewest_sectors) : 1.0; }  // 1: coalesced
  double reuse() const {
    return sectors_of_grid ? double(sectors_of_blocks) / double(sectors_of_grid) : 1.0;
  }  // 1: read once
};

struct KernelAccesses {
  uint64_t launches = 0;
  Traffic loads, stores;
  uint64_t shared_accesses = 0;
  uint64_t bank_conflicts = 0;  // passes through shared memory beyond the fewest for the bytes
};

class AccessLog {  // one at a time
 public:
  AccessLog();
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  // By demangled name, for the launches that have run: synchronise first.
  const std::map<std::string, KernelAccesses>& report() const { return report_; }

 private:
  std::map<std::string, KernelAccesses> report_;
  friend class AccessRecorder;
};

}  // namespace graft::cuda_on_host
