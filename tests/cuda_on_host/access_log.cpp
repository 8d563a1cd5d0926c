#include "tests/cuda_on_host/access_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "tests/cuda_on_host/access_recorder.h"
#include "tests/cuda_on_host/cuda_on_host.h"
#include "tests/cuda_on_host/findings.h"
#include "tests/cuda_on_host/grid.h"
#include "tests/cuda_on_host/race_checker.h"

namespace graft::cuda_on_host {
namespace {

constexpr uintptr_t kSector = 32;
constexpr size_t kBanks = 32, kBankBytes = 4;  // of shared memory

enum class Kind : uint8_t { load, store, shared };

struct Entry {
  uint32_t instruction;  // site and kind
  uint32_t warp, occurrence;
  uint32_t bytes;
  uintptr_t address;
  Kind kind;
  uint8_t lane;

  auto group() const { return std::tuple(instruction, warp, occurrence); }
};

void keep_distinct(std::vector<uintptr_t>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

size_t distinct(std::vector<uintptr_t> values) {
  keep_distinct(values);
  return values.size();
}

void add_sectors(uintptr_t address, size_t bytes, std::vector<uintptr_t>& sectors) {
  for (uintptr_t s = address / kSector; s <= (address + bytes - 1) / kSector; ++s) sectors.push_back(s);
}

size_t distinct_bytes(std::vector<std::pair<uintptr_t, uintptr_t>> ranges) {
  std::sort(ranges.begin(), ranges.end());
  size_t total = 0;
  uintptr_t end = 0;
  for (const auto& [first, last] : ranges) {
    if (last > end) total += last - std::max(first, end);
    end = std::max(end, last);
  }
  return total;
}

// A warp's access goes through shared memory in parts: all lanes at once for up to 4 bytes a lane, 16 for 8, 8 for 16.
// A part needs one pass for each different word of its busiest bank; one is the fewest.
size_t bank_conflicts(const Entry* first, const Entry* last) {
  size_t conflicts = 0;
  const size_t lanes_at_once = std::min<size_t>(32, 32 * kBankBytes / std::max<size_t>(first->bytes, kBankBytes));
  for (size_t part = 0; part < 32; part += lanes_at_once) {
    std::vector<uintptr_t> words;
    for (const Entry* e = first; e != last; ++e)
      if (e->lane >= part && e->lane < part + lanes_at_once)
        for (uintptr_t w = e->address / kBankBytes; w <= (e->address + e->bytes - 1) / kBankBytes; ++w)
          words.push_back(w);
    keep_distinct(words);
    size_t per_bank[kBanks] = {}, busiest = 1;
    for (const uintptr_t word : words) busiest = std::max(busiest, ++per_bank[word % kBanks]);
    conflicts += busiest - 1;
  }
  return conflicts;
}

}  // namespace

class AccessRecorder {
 public:
  AccessLog* log = nullptr;

  void begin_launch(const std::string& kernel) {
    if (!log) return;
    now_ = &log->report_[kernel];
    ++now_->launches;
    begin_block();
  }

  void note(const void* p, size_t bytes, Kind kind, const Site& site) {
    const RunningThread& thread = running_thread();
    const auto address = reinterpret_cast<uintptr_t>(p);
    if (bytes <= 16 && (bytes & (bytes - 1)) == 0 && address % bytes != 0 && thread.kernel)
      give_up_grid(fmt::format("misaligned access of {} bytes at {} at {}", bytes, p, describe(site)));
    if (!now_ || bytes == 0) return;
    const auto [found, is_new] =
        instructions_.try_emplace({site.file_name(), site.line(), site.column(), kind}, instructions_.size());
    if (is_new) occurrences_.emplace_back(kMostThreads);
    const uint32_t occurrence = occurrences_[found->second][thread.thread]++;
    entries_.push_back({static_cast<uint32_t>(found->second), thread.thread / kWarp, occurrence,
                        static_cast<uint32_t>(bytes), address, kind, static_cast<uint8_t>(thread.thread % kWarp)});
  }

  void end_block() {
    if (!now_) return;
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const Entry& a, const Entry& b) { return a.group() < b.group(); });
    for (size_t first = 0, last; first < entries_.size(); first = last) {
      last = first + 1;
      while (last < entries_.size() && entries_[last].group() == entries_[first].group()) ++last;
      add_group(entries_.data() + first, entries_.data() + last);
    }
    for (auto* sectors : {&loads_, &stores_}) {
      keep_distinct(sectors->block);
      sectors->grid.insert(sectors->grid.end(), sectors->block.begin(), sectors->block.end());
    }
    now_->loads.sectors_of_blocks += loads_.block.size();
    now_->stores.sectors_of_blocks += stores_.block.size();
    begin_block();
  }

  void end_launch() {
    if (!now_) return;
    now_->loads.sectors_of_grid += distinct(std::move(loads_.grid));
    now_->stores.sectors_of_grid += distinct(std::move(stores_.grid));
    loads_.grid.clear();
    stores_.grid.clear();
    now_ = nullptr;
  }

 private:
  struct Sectors {
    std::vector<uintptr_t> block, grid;
  };
  using Instruction = std::tuple<const char*, uint32_t, uint32_t, Kind>;

  void begin_block() {
    entries_.clear();
    loads_.block.clear();
    stores_.block.clear();
    for (auto& counts : occurrences_) std::fill(counts.begin(), counts.end(), 0);
  }

  void add_group(const Entry* first, const Entry* last) {
    if (first->kind == Kind::shared) {
      ++now_->shared_accesses;
      now_->bank_conflicts += bank_conflicts(first, last);
      return;
    }
    const bool is_load = first->kind == Kind::load;
    Traffic& traffic = is_load ? now_->loads : now_->stores;
    std::vector<uintptr_t> sectors;
    std::vector<std::pair<uintptr_t, uintptr_t>> ranges;
    for (const Entry* e = first; e != last; ++e) {
      add_sectors(e->address, e->bytes, sectors);
      ranges.emplace_back(e->address, e->address + e->bytes);
    }
    keep_distinct(sectors);
    const size_t bytes = distinct_bytes(std::move(ranges));
    ++traffic.accesses;
    traffic.bytes += bytes;
    traffic.sectors += sectors.size();
    traffic.fewest_sectors += (bytes + kSector - 1) / kSector;
    auto& block = (is_load ? loads_ : stores_).block;
    block.insert(block.end(), sectors.begin(), sectors.end());
  }

  KernelAccesses* now_ = nullptr;  // of the kernel that runs
  std::vector<Entry> entries_;     // of the block that runs
  Sectors loads_, stores_;
  std::map<Instruction, size_t> instructions_;
  std::vector<std::vector<uint32_t>> occurrences_;  // by instruction and thread
};

namespace {
AccessRecorder& recorder() {
  static auto* the_recorder = new AccessRecorder;
  return *the_recorder;
}
}  // namespace

AccessLog::AccessLog() { recorder().log = this; }
AccessLog::~AccessLog() { recorder().log = nullptr; }

void begin_recorded_launch(const std::string& kernel) { recorder().begin_launch(kernel); }
void end_recorded_block() { recorder().end_block(); }
void end_recorded_launch() { recorder().end_launch(); }

void note_load(const void* p, size_t bytes, Site site) {
  const HarnessScope harness;
  recorder().note(p, bytes, Kind::load, site);
}
void note_store(const void* p, size_t bytes, Site site) {
  const HarnessScope harness;
  recorder().note(p, bytes, Kind::store, site);
}
void note_shared(const void* p, size_t bytes, Site site) {
  const HarnessScope harness;
  recorder().note(p, bytes, Kind::shared, site);
}

}  // namespace graft::cuda_on_host
