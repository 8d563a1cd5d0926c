#include "tests/cuda_on_host/race_checker.h"

#include <fmt/format.h>
#include <link.h>

#include <algorithm>

#include "tests/cuda_on_host/control.h"
#include "tests/cuda_on_host/device_memory.h"
#include "tests/cuda_on_host/findings.h"
#include "tests/cuda_on_host/grid.h"
#include "tests/cuda_on_host/shared_memory.h"

namespace graft::cuda_on_host {

thread_local bool checking = false;

namespace {

const char* name_of(Access access) {
  return access == Access::read ? "read" : access == Access::write ? "write" : "atomic operation";
}

struct Range {
  uintptr_t begin, end;
};

// Constants of the program and its libraries, which kernels may read.
const std::vector<Range>& constants() {
  static const auto* ranges = [] {
    auto* found = new std::vector<Range>;
    dl_iterate_phdr(
        [](dl_phdr_info* module, size_t, void* list) {
          for (int i = 0; i < module->dlpi_phnum; ++i) {
            const auto& part = module->dlpi_phdr[i];
            const uintptr_t begin = module->dlpi_addr + part.p_vaddr;
            const bool constant = (part.p_type == PT_LOAD && !(part.p_flags & PF_W)) || part.p_type == PT_GNU_RELRO;
            if (constant) static_cast<std::vector<Range>*>(list)->push_back({begin, begin + part.p_memsz});
          }
          return 0;
        },
        found);
    return found;
  }();
  return *ranges;
}

}  // namespace

RaceChecker& race_checker() {
  static auto* checker = new RaceChecker;
  return *checker;
}

RaceChecker::RaceChecker() {
  for (uint32_t thread = 0; thread < 1024; ++thread) seen_[thread][thread % 32] = 1;
}

void RaceChecker::begin_operation(OperationId id, const Clock& before, std::string name) {
  id_ = id;
  before_ = before;
  launch_first_ = block_first_ = ++segment_;
  thread_ = warp_ = block_ = 0;
  lane_bit_ = 1;
  stack_bytes_ = arguments_bytes_ = gifts_bytes_ = 0;
  block_segments_.clear();
  block_numbers_.clear();
  executed_.push_back({segment_, id});
  names_.push_back(std::move(name));
  chains_.resize(std::max(chains_.size(), size_t{id.chain} + 1));
  chains_[id.chain].push_back(segment_);

  unordered_from_ = launch_first_;
  before_.resize(chains_.size());
  for (uint32_t chain = 0; chain < chains_.size(); ++chain)
    if (chain != id.chain && chains_[chain].size() > before_[chain])
      unordered_from_ = std::min(unordered_from_, chains_[chain][before_[chain]]);
}

void RaceChecker::begin_block(uint32_t number) {
  block_ = number;
  block_first_ = ++segment_;
  block_segments_.push_back(segment_);
  block_numbers_.push_back(number);
}

void RaceChecker::begin_thread(uint32_t thread, uintptr_t stack_begin, uintptr_t stack_end) {
  thread_ = thread;
  warp_ = thread / 32;
  lane_bit_ = 1u << thread % 32;
  stack_begin_ = stack_begin;
  stack_bytes_ = stack_end - stack_begin;
}

void RaceChecker::let_read(const void* arguments, size_t argument_bytes, const void* gifts, size_t gift_bytes) {
  arguments_begin_ = reinterpret_cast<uintptr_t>(arguments);
  arguments_bytes_ = argument_bytes;
  gifts_begin_ = reinterpret_cast<uintptr_t>(gifts);
  gifts_bytes_ = gift_bytes;
}

// All that the lanes did before comes before all that they do next: they share what each has seen, and their clocks
// move on together, past the latest of them.
void RaceChecker::warp_fence(uint32_t warp, uint32_t lanes) {
  uint32_t joined[32] = {}, latest = 0;
  for (uint32_t lane = 0; lane < 32; ++lane)
    if (lanes >> lane & 1u) {
      const auto* seen = seen_[warp * 32 + lane];
      for (uint32_t i = 0; i < 32; ++i) joined[i] = std::max(joined[i], seen[i]);
      latest = std::max(latest, seen[lane]);
    }
  for (uint32_t lane = 0; lane < 32; ++lane)
    if (lanes >> lane & 1u) joined[lane] = latest;
  for (uint32_t lane = 0; lane < 32; ++lane)
    if (lanes >> lane & 1u) {
      auto* seen = seen_[warp * 32 + lane];
      std::copy(joined, joined + 32, seen);
      seen[lane] = latest + 1;
    }
}

void RaceChecker::forget_operations() {
  executed_.clear();
  names_.clear();
  chains_.clear();
}

// Ordered within a warp: a lane's touch at clock c came before what I do when I have seen c of it. A fence sets the
// clocks of its lanes past the latest of them, so a touch at my own clock or later is of a lane that I have not met
// since.
bool RaceChecker::concurrent(const Touch& touch) const {
  if (touch.segment < floor_) return false;
  if (touch.segment == segment_) {
    if (touch.several_warps || touch.several_blocks || touch.warp != warp_) return true;
    uint32_t others = touch.lanes & ~lane_bit_;
    if (!others) return false;
    const auto* seen = seen_[thread_];
    if (touch.clock >= seen[thread_ % 32]) return true;
    for (; others; others &= others - 1)
      if (seen[__builtin_ctz(others)] < touch.clock) return true;
    return false;
  }
  if (touch.segment >= block_first_) return touch.several_blocks;
  return touch.segment >= launch_first_ || concurrent_operation(touch.segment);
}

const RaceChecker::Executed& RaceChecker::operation_of(uint32_t segment) const {
  const auto after =
      std::upper_bound(executed_.begin(), executed_.end(), segment,
                       [](uint32_t s, const Executed& operation) { return s < operation.first_segment; });
  return *std::prev(after);
}

bool RaceChecker::concurrent_operation(uint32_t segment) const {
  const OperationId other = operation_of(segment).id;
  return other.chain != id_.chain && other.number > before_[other.chain];
}

void RaceChecker::update(Touch& touch) const {
  const uint32_t clock = seen_[thread_][thread_ % 32];
  const bool this_launch = touch.segment >= scope_first_, this_block = touch.segment >= block_first_;
  if (touch.segment == segment_ && !touch.several_blocks) {
    if (touch.several_warps || touch.warp != warp_) {
      touch.several_warps = true;
      return;
    }
    if (touch.clock >= clock || concurrent(touch)) {  // beside the others
      touch.lanes |= lane_bit_;
      touch.clock = std::max(touch.clock, clock);
      return;
    }
  }
  const bool several_blocks = this_launch && (!this_block || touch.several_blocks);
  touch = mine();
  touch.several_blocks = several_blocks;
}

Touch RaceChecker::mine() const {
  return {segment_, lane_bit_, seen_[thread_][thread_ % 32], static_cast<uint8_t>(warp_)};
}

bool RaceChecker::conflict(Cell& cell, Access access) const {
  const bool both_atomic = access == Access::atomic && cell.write.atomic;
  if (cell.write.segment && !both_atomic && concurrent(cell.write)) return true;
  if (access == Access::read) {
    update(cell.read);
    return false;
  }
  if (cell.read.segment && concurrent(cell.read)) return true;
  if (both_atomic)
    update(cell.write);
  else
    cell.write = mine();
  cell.write.atomic = access == Access::atomic;
  return false;
}

// A word that is always touched whole has one cell; the first touch of a part gives each byte its own.
const Cell* RaceChecker::conflict(Stretch& stretch, uintptr_t address, size_t bytes, Access access) {
  const bool is_shared = &stretch == &shared_stretch();  // what other blocks did to theirs is no matter
  floor_ = is_shared ? block_first_ : unordered_from_;
  scope_first_ = is_shared ? block_first_ : launch_first_;
  size_t at = address - stretch.begin;
  const size_t end = at + bytes;
  while (at < end) {
    const size_t word = at / 4, word_end = std::min(end, (word + 1) * 4);
    if (word_end - at == 4 && !stretch.split[word]) {
      if (conflict(stretch.words[word], access)) return &stretch.words[word];
      at = word_end;
      continue;
    }
    if (!stretch.split[word]) {
      std::fill_n(stretch.singles + word * 4, 4, stretch.words[word]);
      stretch.split[word] = true;
    }
    for (; at < word_end; ++at)
      if (conflict(stretch.singles[at], access)) return &stretch.singles[at];
  }
  return nullptr;
}

bool RaceChecker::is_own_memory(uintptr_t address, size_t bytes, Access access) const {
  if (address - stack_begin_ < stack_bytes_) return true;
  if (access != Access::read) return false;
  if (address - arguments_begin_ < arguments_bytes_ || address - gifts_begin_ < gifts_bytes_) return true;
  return std::any_of(constants().begin(), constants().end(),
                     [&](const Range& range) { return address >= range.begin && address + bytes <= range.end; });
}

void RaceChecker::kernel_access(uintptr_t address, size_t bytes, Access access, const void* pc) {
  if (address - stack_begin_ < stack_bytes_) return;
  const HarnessScope harness;
  Stretch& shared = shared_stretch();
  Stretch& device = device_stretch();
  const bool is_shared = shared.holds(address);
  if (!is_shared && !device.holds(address)) {
    if (is_own_memory(address, bytes, access)) return;
    outside(address, bytes, access, pc);
  }
  Stretch& stretch = is_shared ? shared : device;
  uint8_t* states = stretch.states + (address - stretch.begin);
  bool forbidden = false, unwritten = false;
  for (size_t i = 0; i < bytes; ++i) {
    forbidden |= states[i] == static_cast<uint8_t>(ByteState::forbidden);
    unwritten |= states[i] == static_cast<uint8_t>(ByteState::unwritten);
  }
  if (forbidden) outside(address, bytes, access, pc);
  if (unwritten) {
    if (access != Access::write)
      give_up_grid(fmt::format("{} of uninitialised memory, {} bytes at {}, {}", name_of(access), bytes,
                               is_shared ? describe_shared(address) : device_memory().describe(address),
                               describe_code(pc)));
    std::fill_n(states, bytes, static_cast<uint8_t>(ByteState::written));
  }
  if (const Cell* cell = conflict(stretch, address, bytes, access))
    give_up_grid(race(stretch, address, bytes, access, *cell) + ", " + describe_code(pc));
}

std::string RaceChecker::operation_access(const void* memory, size_t bytes, Access access) {
  const auto address = reinterpret_cast<uintptr_t>(memory);
  Stretch& stretch = device_stretch();
  if (!kRaceBuild || !stretch.holds(address) || bytes == 0) return {};
  const Cell* cell = conflict(stretch, address, bytes, access);
  return cell ? race(stretch, address, bytes, access, *cell) : std::string();
}

std::string RaceChecker::who(const Touch& touch) const {
  if (touch.segment < launch_first_) {
    const Executed& other = operation_of(touch.segment);
    return fmt::format("{}, another operation that nothing orders before this one", names_[&other - executed_.data()]);
  }
  if (touch.several_blocks) return "threads of several blocks";
  const auto after = std::upper_bound(block_segments_.begin(), block_segments_.end(), touch.segment);
  const std::string block = after == block_segments_.begin()
                                ? ""
                                : fmt::format("block {} ", block_numbers_[after - block_segments_.begin() - 1]);
  if (touch.several_warps) return block + "several warps";
  const uint32_t others = touch.lanes & ~lane_bit_;
  return fmt::format("{}thread {}", block, touch.warp * 32 + __builtin_ctz(others ? others : touch.lanes));
}

std::string RaceChecker::race(Stretch& stretch, uintptr_t address, size_t bytes, Access access,
                              const Cell& cell) const {
  const bool with_write = cell.write.segment && concurrent(cell.write);
  const Touch& other = with_write ? cell.write : cell.read;
  return fmt::format("race: {} of {} bytes at {} against the {} by {}", name_of(access), bytes,
                     &stretch == &shared_stretch() ? describe_shared(address) : device_memory().describe(address),
                     with_write ? "write" : "read", who(other));
}

void RaceChecker::outside(uintptr_t address, size_t bytes, Access access, const void* pc) const {
  const HarnessScope harness;
  const std::string where = shared_stretch().holds(address)   ? describe_shared(address)
                            : device_stretch().holds(address) ? device_memory().describe(address)
                                                              : fmt::format("{:#x}, memory of the host", address);
  give_up_grid(
      fmt::format("out of bounds: {} of {} bytes at {}, {}", name_of(access), bytes, where, describe_code(pc)));
}

}  // namespace graft::cuda_on_host
