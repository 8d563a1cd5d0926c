#include "contract/plan_intervals.h"

#include <catch2/catch.hpp>
#include <vector>

#include "contract/philox.h"

using namespace graft;

namespace {

struct Planned {
  std::vector<int64_t> offsets;
  int64_t arena;
};

Planned plan(const std::vector<Lifetime>& items) {
  Planned p{std::vector<int64_t>(items.size()), 0};
  std::vector<int32_t> scratch(2 * items.size());
  p.arena = plan_intervals(items.data(), static_cast<int32_t>(items.size()), p.offsets.data(), scratch.data());
  return p;
}

}  // namespace

TEST_CASE("a chain of buffers needs room for the two largest neighbours") {
  const std::vector<Lifetime> chain = {{640, 0, 1}, {1280, 1, 2}, {640, 2, 3}, {64, 3, 4}};
  const auto p = plan(chain);
  CHECK(p.arena == 1920);
  CHECK(p.arena == arena_lower_bound(chain.data(), 4));
}

TEST_CASE("nothing to plan needs no arena") { CHECK(plan({}).arena == 0); }

TEST_CASE("buffers alive together never overlap, and the arena stays near the bound") {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::vector<Lifetime> items(1 + seed % 40);
    for (size_t i = 0; i < items.size(); ++i) {
      const auto r = philox(seed, i, 0);
      const auto first = static_cast<int32_t>(r.word[0] % 30);
      items[i] = {static_cast<int64_t>(r.word[1] % 5000), first, first + static_cast<int32_t>(r.word[2] % 6)};
    }
    const auto p = plan(items);
    for (size_t i = 0; i < items.size(); ++i) {
      REQUIRE(p.offsets[i] % kArenaAlignment == 0);
      REQUIRE(p.offsets[i] + items[i].bytes <= p.arena);
      for (size_t j = 0; j < i; ++j) {
        const bool together = items[i].first <= items[j].last && items[j].first <= items[i].last;
        const bool apart =
            p.offsets[i] + items[i].bytes <= p.offsets[j] || p.offsets[j] + items[j].bytes <= p.offsets[i];
        REQUIRE((!together || apart || items[i].bytes == 0 || items[j].bytes == 0));
      }
    }
    const int64_t bound = arena_lower_bound(items.data(), static_cast<int32_t>(items.size()));
    REQUIRE(p.arena >= bound);
    REQUIRE(p.arena <= 2 * bound);
  }
}
