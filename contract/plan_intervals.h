// Where buffers lie in one arena, given when each is alive: two that live at the same time never overlap.
//
// Largest first, each at the lowest offset where it fits (greedy by size, Pisarchyk & Lee 2020, arXiv:2001.03288 §5.2).
// Within a few per cent of the lower bound on feed-forward networks; O(n²), which is nothing for some hundred buffers.
#pragma once
#include <algorithm>
#include <cstdint>

namespace graft {

// A buffer of `bytes` that is written first by call `first` and read last by call `last` (both inclusive).
struct Lifetime {
  int64_t bytes = 0;
  int32_t first = 0, last = 0;
};

inline constexpr int64_t kArenaAlignment = 64;

constexpr int64_t align_up(int64_t bytes, int64_t alignment = kArenaAlignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

// Fills offsets[count], multiples of kArenaAlignment, and returns the size of the arena. `scratch` holds 2 · count
// values.
inline int64_t plan_intervals(const Lifetime* items, int32_t count, int64_t* offsets, int32_t* scratch) {
  int32_t* order = scratch;           // by size
  int32_t* placed = scratch + count;  // by offset
  for (int32_t i = 0; i < count; ++i) order[i] = i;
  std::sort(order, order + count, [&](int32_t a, int32_t b) {
    return items[a].bytes != items[b].bytes ? items[a].bytes > items[b].bytes : a < b;
  });
  int64_t arena = 0;
  for (int32_t n = 0; n < count; ++n) {
    const Lifetime& item = items[order[n]];
    int64_t offset = 0;
    for (int32_t p = 0; p < n; ++p) {
      const Lifetime& other = items[placed[p]];
      if (other.last < item.first || item.last < other.first) continue;
      if (offset + item.bytes <= offsets[placed[p]]) break;  // fits in the gap before it
      offset = std::max(offset, align_up(offsets[placed[p]] + other.bytes));
    }
    offsets[order[n]] = offset;
    arena = std::max(arena, align_up(offset + item.bytes));
    int32_t at = n;
    for (; at > 0 && offsets[placed[at - 1]] > offset; --at) placed[at] = placed[at - 1];
    placed[at] = order[n];
  }
  return arena;
}

// No plan can be smaller: the largest sum of bytes alive during one call.
inline int64_t arena_lower_bound(const Lifetime* items, int32_t count) {
  int64_t bound = 0;
  for (int32_t i = 0; i < count; ++i) {  // the maximum is reached where some buffer begins
    int64_t alive = 0;
    for (int32_t j = 0; j < count; ++j)
      if (items[j].first <= items[i].first && items[i].first <= items[j].last) alive += align_up(items[j].bytes);
    bound = std::max(bound, alive);
  }
  return bound;
}

}  // namespace graft
