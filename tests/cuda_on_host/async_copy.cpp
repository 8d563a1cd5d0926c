#include "tests/cuda_on_host/async_copy.h"

#include <fmt/format.h>

#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "tests/cuda_on_host/control.h"
#include "tests/cuda_on_host/cuda_on_host.h"
#include "tests/cuda_on_host/findings.h"
#include "tests/cuda_on_host/grid.h"
#include "tests/cuda_on_host/memory_map.h"
#include "tests/cuda_on_host/race_checker.h"

namespace graft::cuda_on_host {
namespace {

struct Copy {
  void* to;
  const void* from;
  size_t bytes, source_bytes;
  Site site;
};
struct Queue {
  std::vector<Copy> open;
  std::deque<std::vector<Copy>> groups;
};
std::vector<Queue> queues;
bool used = false;  // by the block that runs: most kernels have none

Queue& mine() { return queues[running_thread().thread]; }

// The hardware may read and write at any time from the copy's issue to the wait: both ends are accesses to both sides.
void note(const Copy& copy, const void* pc) {
  if (!kRaceBuild) return;
  checking = true;  // whatever the harness's code did, these are the kernel's
  if (copy.source_bytes > 0)
    race_checker().kernel_access(reinterpret_cast<uintptr_t>(copy.from), copy.source_bytes, Access::read, pc);
  race_checker().kernel_access(reinterpret_cast<uintptr_t>(copy.to), copy.bytes, Access::write, pc);
  checking = false;
}

void run(const std::vector<Copy>& group, const void* pc) {
  for (const auto& copy : group) {
    note(copy, pc);
    std::memset(copy.to, 0, copy.bytes);
    std::memcpy(copy.to, copy.from, copy.source_bytes);
  }
}

}  // namespace

void begin_async_copies(size_t threads) {
  if (used || queues.size() != threads) queues.assign(threads, {});
  used = false;
}

void end_async_copies() {
  if (!used) return;
  Queue& queue = mine();
  queue.groups.push_back(std::move(queue.open));
  for (const auto& group : queue.groups)
    if (!group.empty())
      give_up_grid(fmt::format("a thread returned without having waited for its async_copy at {}",
                               describe(group.front().site)));
}

void async_copy(void* shared, const void* global, size_t bytes, size_t source_bytes, Site site) {
  const HarnessScope harness;
  const auto to = reinterpret_cast<uintptr_t>(shared), from = reinterpret_cast<uintptr_t>(global);
  if ((bytes != 4 && bytes != 8 && bytes != 16) || to % bytes || from % bytes)
    give_up_grid(
        fmt::format("misaligned async_copy of {} bytes from {:#x} to {:#x} at {}", bytes, from, to, describe(site)));
  if (!shared_stretch().holds(to))
    give_up_grid(fmt::format("async_copy at {} writes to {:#x}, which is no shared memory", describe(site), to));
  if (source_bytes > bytes)
    give_up_grid(fmt::format("async_copy of {} bytes of {} at {}", source_bytes, bytes, describe(site)));
  const Copy copy{shared, global, bytes, source_bytes, site};
  note(copy, __builtin_return_address(0));
  std::memset(shared, 0xff, bytes);  // who reads before the wait reads this
  if (kRaceBuild) shared_stretch().set_states(to, bytes, ByteState::unwritten);
  mine().open.push_back(copy);
  used = true;
}

void async_commit() {
  const HarnessScope harness;
  if (used) mine().groups.push_back(std::exchange(mine().open, {}));
}

void async_wait(size_t pending) {
  const HarnessScope harness;
  auto& groups = mine().groups;
  for (; groups.size() > pending; groups.pop_front()) run(groups.front(), __builtin_return_address(0));
}

}  // namespace graft::cuda_on_host
