#include "tests/cuda_on_host/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "tests/cuda_on_host/access_recorder.h"
#include "tests/cuda_on_host/async_copy.h"
#include "tests/cuda_on_host/control.h"
#include "tests/cuda_on_host/fiber.h"
#include "tests/cuda_on_host/findings.h"
#include "tests/cuda_on_host/launched_kernels.h"
#include "tests/cuda_on_host/race_checker.h"
#include "tests/cuda_on_host/shared_memory.h"

extern "C" const int warpSize = 32;  // declared by CUDA

namespace graft::cuda_on_host {

Indices running;

namespace {

constexpr uint8_t kNoGift = 0xff;

enum class State : uint8_t { fresh, ready, at_barrier, in_warp, done };

struct Thread {
  uint3 index;
  State state = State::fresh;
  uint8_t gift = kNoGift;  // which of the warp's its last collective used
  Fiber* fiber = nullptr;
  unsigned mask = 0;  // of the collective in which it waits
  Site site;          // where it waits
};

// What the lanes of a collective gave each other; in use until each of them comes to its next collective.
struct Gift {
  uint64_t slots[kWarp];
  uint64_t more[kWarp][2];  // of a collective that gives three words
  uint32_t users = 0;
};

// Lanes that meet in a collective: those of a mask. Several may be under way: halves of a warp go their own ways, and
// one may wait for the whole already.
struct Meeting {
  unsigned mask = 0, arrived = 0;
  bool fence = false;
  uint8_t gift = kNoGift;
};
struct Warp {
  uint32_t open = 0;  // which meetings are under way: as many as there are lanes to wait in one each
  Meeting meetings[kWarp];
  Gift gifts[kWarp];

  Meeting& meeting_of(unsigned mask, bool fence) {
    for (uint32_t rest = open; rest; rest &= rest - 1)
      if (Meeting& m = meetings[__builtin_ctz(rest)]; m.mask == mask && m.fence == fence) return m;
    const int free = __builtin_ctz(~open);
    open |= 1u << free;
    meetings[free] = {mask, 0, fence, 0};
    while (gifts[meetings[free].gift].users) ++meetings[free].gift;
    return meetings[free];
  }
  void close(const Meeting& m) { open &= ~(1u << (&m - meetings)); }
};

class Grid {
 public:
  std::string run(const Launch&);
  void body();

  void wait_at_barrier(Site);
  const Gift& meet(unsigned mask, uint64_t bits, bool fence, Site, const uint64_t* more = nullptr);
  [[noreturn]] void give_up(std::string finding);
  const RunningThread& here() const { return here_; }

 private:
  void run_block(std::mt19937_64&);
  bool run_warp(uint32_t warp);
  void resume(uint32_t thread);
  void pass_barrier(size_t done);
  void check_mask(unsigned mask, uint32_t first, const Site&);
  std::string who(uint32_t thread) const;
  void say_deadlock();

  const Launch* launch_ = nullptr;
  RunningThread here_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<uint32_t> warp_order_, lane_order_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  std::string finding_;
};

Grid& the_grid() {
  static auto* grid = new Grid;
  return *grid;
}

std::string Grid::run(const Launch& launch) {
  launch_ = &launch;
  finding_.clear();
  here_ = {0, 0, &launch.kernel};
  const size_t threads = size_t{launch.block.x} * launch.block.y * launch.block.z;
  const size_t blocks = size_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  threads_.resize(threads);
  warps_.resize((threads + kWarp - 1) / kWarp);
  running.block_extent = launch.block;
  running.grid_extent = launch.grid;

  const Options& how = options();
  std::mt19937_64 random(how.seed);
  warp_order_.resize(warps_.size());
  lane_order_.resize(kWarp);
  std::iota(warp_order_.begin(), warp_order_.end(), 0);
  std::iota(lane_order_.begin(), lane_order_.end(), 0);
  std::vector<uint32_t> block_order(blocks);
  std::iota(block_order.begin(), block_order.end(), 0);
  if (how.order == Order::reverse) {
    std::reverse(warp_order_.begin(), warp_order_.end());
    std::reverse(lane_order_.begin(), lane_order_.end());
    std::reverse(block_order.begin(), block_order.end());
  } else if (how.order == Order::random) {
    std::shuffle(block_order.begin(), block_order.end(), random);
  }

  race_checker().let_read(launch.call.arguments.get(), launch.call.argument_bytes, warps_.data(),
                          warps_.size() * sizeof(Warp));
  begin_recorded_launch(launch.kernel);
  size_t static_shared = 0;
  for (const uint32_t block : block_order) {
    here_.block = block;
    running.block = {block % launch.grid.x, block / launch.grid.x % launch.grid.y,
                     block / launch.grid.x / launch.grid.y};
    run_block(random);
    if (!finding_.empty()) break;
    static_shared = std::max(static_shared, static_shared_bytes());
    end_recorded_block();
  }
  end_recorded_launch();
  here_.kernel = nullptr;
  note_launch(launch.kernel, blocks, threads, launch.shared_bytes, static_shared);
  statistics().blocks += blocks;
  statistics().threads += blocks * threads;
  for (auto& thread : threads_)  // those of a grid that was given up
    if (thread.fiber) idle_.push_back(std::exchange(thread.fiber, nullptr));
  return finding_.empty() ? std::string() : fmt::format("{}: {}", launch.kernel, finding_);
}

void Grid::run_block(std::mt19937_64& random) {
  race_checker().begin_block(here_.block);
  begin_shared_memory(launch_->shared_bytes);
  for (auto& warp : warps_) {
    warp.open = 0;
    for (auto& gift : warp.gifts) gift.users = 0;
  }
  const dim3 extent = launch_->block;
  uint32_t i = 0;
  for (unsigned z = 0; z < extent.z; ++z)
    for (unsigned y = 0; y < extent.y; ++y)
      for (unsigned x = 0; x < extent.x; ++x) {
        threads_[i].index = {x, y, z};
        threads_[i].state = State::fresh;
        threads_[i++].gift = kNoGift;
      }
  if (options().order == Order::random) {
    std::shuffle(warp_order_.begin(), warp_order_.end(), random);
    std::shuffle(lane_order_.begin(), lane_order_.end(), random);
  }
  begin_async_copies(threads_.size());

  // A warp runs as far as it can before the next one does: a missing barrier lets it run ahead.
  for (;;) {
    bool progress = false;
    for (const uint32_t warp : warp_order_)
      while (finding_.empty() && run_warp(warp)) progress = true;
    if (!finding_.empty()) return;
    size_t done = 0, at_barrier = 0;
    for (const auto& thread : threads_) {
      done += thread.state == State::done;
      at_barrier += thread.state == State::at_barrier;
    }
    if (done == threads_.size()) return;
    if (done + at_barrier == threads_.size())
      pass_barrier(done);
    else if (!progress)
      say_deadlock();
    if (!finding_.empty()) return;
  }
}

// Each lane until it waits; false when none could run.
bool Grid::run_warp(uint32_t warp) {
  bool progress = false;
  for (const uint32_t lane : lane_order_) {
    const uint32_t thread = warp * kWarp + lane;
    if (thread >= threads_.size()) continue;
    const State state = threads_[thread].state;
    if (state != State::fresh && state != State::ready) continue;
    resume(thread);
    if (!finding_.empty()) return false;
    progress = true;
  }
  return progress;
}

void Grid::resume(uint32_t thread) {
  Thread& t = threads_[thread];
  here_.thread = thread;
  running.thread = t.index;
  ++statistics().switches;
  if (t.state == State::fresh) {
    if (idle_.empty()) {
      fibers_.push_back(std::make_unique<Fiber>());
      idle_.push_back(fibers_.back().get());
    }
    t.fiber = idle_.back();
    idle_.pop_back();
    t.fiber->start([] { the_grid().body(); });
  }
  t.state = State::ready;
  race_checker().begin_thread(thread, t.fiber->stack_begin(), t.fiber->stack_end());
  checking = kRaceBuild;
  t.fiber->resume();
  checking = false;
  if (t.state == State::done) idle_.push_back(std::exchange(t.fiber, nullptr));
}

void Grid::body() {
  launch_->call.invoke(launch_->call.kernel, launch_->call.arguments.get());
  checking = false;
  end_async_copies();
  threads_[here_.thread].state = State::done;
}

void Grid::give_up(std::string finding) {
  finding_ = fmt::format("{} in block {} thread {}", std::move(finding), here_.block, who(here_.thread));
  for (;;) threads_[here_.thread].fiber->suspend();  // never resumed
}

std::string Grid::who(uint32_t thread) const {
  const uint3 i = threads_[thread].index;
  return fmt::format("({},{},{})", i.x, i.y, i.z);
}

// ---- barriers

void Grid::wait_at_barrier(Site site) {
  Thread& me = threads_[here_.thread];
  me.state = State::at_barrier;
  me.site = site;
  me.fiber->suspend();
}

void Grid::pass_barrier(size_t done) {
  uint32_t first = 0;
  while (threads_[first].state != State::at_barrier) ++first;
  const auto& one = threads_[first].site;
  if (done != 0) {
    finding_ = fmt::format("{} thread(s) of block {} returned before the __syncthreads() at {} that others reach", done,
                           here_.block, describe(one));
    return;
  }
  for (uint32_t i = first + 1; i < threads_.size(); ++i) {
    const auto& other = threads_[i].site;
    if (other.line() == one.line() && other.column() == one.column() &&
        std::string_view(other.file_name()) == one.file_name())
      continue;
    finding_ = fmt::format("barrier divergence in block {}: thread {} waits at {}, thread {} at {}", here_.block,
                           who(first), describe(one), who(i), describe(other));
    return;
  }
  for (auto& thread : threads_) thread.state = State::ready;
  race_checker().barrier();
}

void Grid::say_deadlock() {
  finding_ = fmt::format("deadlock in block {}:", here_.block);
  for (uint32_t i = 0; i < threads_.size(); ++i) {  // the usual reason
    if (threads_[i].state != State::in_warp) continue;
    const auto waits_for = [&](uint32_t lane) { return threads_[i].mask >> lane & 1u; };
    for (uint32_t lane = 0; lane < kWarp; ++lane)
      if (waits_for(lane) && threads_[i / kWarp * kWarp + lane].state == State::done)
        finding_ += fmt::format(" thread {} waits at {} for lane {}, and lane {} has returned;", who(i),
                                describe(threads_[i].site), lane, lane);
    break;
  }
  int told = 0;
  for (uint32_t i = 0; i < threads_.size() && told < 8; ++i) {
    const Thread& thread = threads_[i];
    if (thread.state != State::at_barrier && thread.state != State::in_warp) continue;
    // One line where neighbours wait at the same place.
    if (i > 0 && threads_[i - 1].state == thread.state && threads_[i - 1].site.line() == thread.site.line() &&
        threads_[i - 1].mask == thread.mask)
      continue;
    finding_ +=
        fmt::format("\n  from thread {}: {} at {}", who(i),
                    thread.state == State::in_warp ? fmt::format("a collective of warp mask {:#010x}", thread.mask)
                                                   : "__syncthreads()",
                    describe(thread.site));
    ++told;
  }
}

// ---- warps

void Grid::check_mask(unsigned mask, uint32_t first, const Site& site) {
  for (uint32_t i = 0; i < kWarp; ++i) {
    if (!(mask >> i & 1u)) continue;
    if (first + i >= threads_.size())
      give_up(fmt::format("warp mask {:#010x} at {} names lane {}, which the block does not have", mask, describe(site),
                          i));
    if (threads_[first + i].state == State::done)
      give_up(fmt::format("warp mask {:#010x} at {} names a lane that has returned: lane {} has returned", mask,
                          describe(site), i));
  }
}

const Gift& Grid::meet(unsigned mask, uint64_t bits, bool fence, Site site, const uint64_t* more) {
  const uint32_t lane = here_.thread % kWarp, first = here_.thread - lane;
  Thread& me = threads_[here_.thread];
  if (!(mask >> lane & 1u))
    give_up(fmt::format("warp mask {:#010x} at {} lacks the lane that calls", mask, describe(site)));
  Warp& warp = warps_[first / kWarp];
  if (me.gift != kNoGift) --warp.gifts[me.gift].users;
  Meeting& meeting = warp.meeting_of(mask, fence);
  if (!meeting.arrived) check_mask(mask, first, site);
  meeting.arrived |= 1u << lane;
  me.gift = meeting.gift;
  Gift& gift = warp.gifts[me.gift];
  ++gift.users;
  gift.slots[lane] = bits;
  if (more != nullptr) std::copy_n(more, 2, gift.more[lane]);
  if (meeting.arrived == mask) {
    warp.close(meeting);
    if (fence) race_checker().warp_fence(first / kWarp, mask);
    for (uint32_t i = 0; i < kWarp; ++i)
      if ((mask >> i & 1u) && i != lane) threads_[first + i].state = State::ready;
  } else {
    me.state = State::in_warp;
    me.mask = mask;
    me.site = site;
    me.fiber->suspend();
  }
  return gift;
}

}  // namespace

std::string run_grid(const Launch& launch) { return the_grid().run(launch); }
void give_up_grid(std::string finding) { the_grid().give_up(std::move(finding)); }
const RunningThread& running_thread() { return the_grid().here(); }

void block_barrier(Site site) {
  const HarnessScope harness;
  the_grid().wait_at_barrier(site);
}
void warp_fence(unsigned mask, Site site) {
  const HarnessScope harness;
  the_grid().meet(mask, 0, true, site);
}
const uint64_t* warp_exchange(unsigned mask, uint64_t bits, Site site) {
  const HarnessScope harness;
  return the_grid().meet(mask, bits, false, site).slots;
}
ThreeWords warp_exchange(unsigned mask, const uint64_t (&words)[3], Site site) {
  const HarnessScope harness;
  const Gift& gift = the_grid().meet(mask, words[0], false, site, words + 1);
  return {gift.slots, gift.more};
}
unsigned warp_ballot(unsigned mask, bool vote, Site site) {
  const HarnessScope harness;
  const uint64_t* slots = the_grid().meet(mask, vote, false, site).slots;
  unsigned votes = 0;
  for (unsigned lane = 0; lane < kWarp; ++lane)
    if (mask >> lane & 1u) votes |= static_cast<unsigned>(slots[lane]) << lane;
  return votes;
}
unsigned lane_index() { return the_grid().here().thread % kWarp; }

}  // namespace graft::cuda_on_host
