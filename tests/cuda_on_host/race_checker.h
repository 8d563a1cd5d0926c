// A happens-before checker, exact and deterministic, for what kernels and copies do to device and shared memory.
//
// Two accesses to a byte, one of them a write and not both atomic, must be ordered. Within an operation of a stream: by
// being of one thread, by a __syncthreads() between them, or by a __syncwarp() that both lanes took part in; threads of
// different blocks are never ordered. Between operations: by their stream, by events, or by the host, which waited for
// one before it queued the other.
//
// Blocks run one after the other, so time is cut into segments: a new one begins with each operation, each block and
// each barrier. A touch's segment tells which of these it shares with the present. Within a segment and a warp, lanes
// have clocks.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/cuda_on_host/memory_map.h"

namespace graft::cuda_on_host {

// Operations are numbered along chains (streams, and the branches of graphs). A clock tells how far of each chain came
// before.
using Clock = std::vector<uint32_t>;
struct OperationId {
  uint32_t chain = 0, number = 0;  // number: 1, 2, …
};

enum class Access : uint8_t { read, write, atomic };

// True while a kernel's own code runs on this host thread: only then do the hooks check.
extern thread_local bool checking;

// Code of the harness that a kernel calls is not the kernel's.
class HarnessScope {
 public:
  HarnessScope() : previous_(checking) { checking = false; }
  ~HarnessScope() { checking = previous_; }
  HarnessScope(const HarnessScope&) = delete;
  HarnessScope& operator=(const HarnessScope&) = delete;

 private:
  bool previous_;
};

class RaceChecker {
 public:
  RaceChecker();
  void begin_operation(OperationId, const Clock& before, std::string name);
  void begin_block(uint32_t number);
  void barrier() { ++segment_; }
  void begin_thread(uint32_t thread, uintptr_t stack_begin, uintptr_t stack_end);
  // What a kernel may read besides: its arguments, and what lanes give each other.
  void let_read(const void* arguments, size_t argument_bytes, const void* gifts, size_t gift_bytes);
  void warp_fence(uint32_t warp, uint32_t lanes);
  void forget_operations();

  // From a kernel, on behalf of the thread that runs: gives up the grid when something is wrong. `pc` is where the
  // access stands.
  void kernel_access(uintptr_t address, size_t bytes, Access, const void* pc);
  // By a copy, a fill or a free: what is wrong, or "".
  std::string operation_access(const void*, size_t bytes, Access);

 private:
  struct Executed {
    uint32_t first_segment;
    OperationId id;
  };
  const Cell* conflict(Stretch&, uintptr_t address, size_t bytes, Access);
  bool conflict(Cell&, Access) const;
  bool concurrent(const Touch&) const;
  bool concurrent_operation(uint32_t segment) const;
  void update(Touch&) const;
  Touch mine() const;
  const Executed& operation_of(uint32_t segment) const;
  std::string who(const Touch&) const;
  std::string race(Stretch&, uintptr_t address, size_t bytes, Access, const Cell&) const;
  [[noreturn]] void outside(uintptr_t address, size_t bytes, Access, const void* pc) const;
  bool is_own_memory(uintptr_t address, size_t bytes, Access) const;

  uint32_t segment_ = 0, block_first_ = 0, launch_first_ = 0;
  uint32_t unordered_from_ = 0;  // what happened in earlier segments came before
  uint32_t floor_ = 0,
           scope_first_ = 0;  // of the memory looked at: unordered_from_ and launch_first_, or those of a block's own
  uint32_t thread_ = 0, lane_bit_ = 1, warp_ = 0, block_ = 0;
  uintptr_t stack_begin_ = 0, stack_bytes_ = 0, arguments_begin_ = 0, arguments_bytes_ = 0, gifts_begin_ = 0,
            gifts_bytes_ = 0;
  OperationId id_;
  Clock before_;
  std::vector<std::string> names_;  // by operation
  std::vector<Executed> executed_;
  std::vector<std::vector<uint32_t>> chains_;  // first segments
  std::vector<uint32_t> block_segments_;       // of the running operation, by order of execution
  std::vector<uint32_t> block_numbers_;
  uint32_t seen_[1024][32] = {};  // per thread: the clocks of its warp's lanes that came before; its own is the present
};
RaceChecker& race_checker();

}  // namespace graft::cuda_on_host
