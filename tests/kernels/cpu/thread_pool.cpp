#include "kernels/cpu/thread_pool.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <set>
#include <vector>

using graft::cpu::ThreadPool;

TEST_CASE("every tile runs once, whatever the numbers of tiles and threads") {
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (int64_t tiles : {0, 1, 2, 3, 5, 64, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(tiles));
      pool.parallel_for(tiles, [&](int64_t tile, int) { ++runs[static_cast<size_t>(tile)]; });
      int wrong = 0;
      for (const auto& r : runs) wrong += r != 1;
      INFO(threads << " threads, " << tiles << " tiles");
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("what a loop wrote is visible when it returns, and to the next loop") {
  ThreadPool pool(3);
  std::vector<int64_t> values(257, 0);
  for (int round = 0; round < 200; ++round)
    pool.parallel_for(257, [&](int64_t tile, int) { values[static_cast<size_t>(256 - tile)] += 1; });
  int wrong = 0;
  for (int64_t v : values) wrong += v != 200;
  CHECK(wrong == 0);
}

TEST_CASE("two tiles under way at the same time never share a slot") {
  constexpr int kThreads = 3;
  ThreadPool pool(kThreads);
  std::atomic<int> users[kThreads] = {};
  std::atomic<bool> shared{false}, outside{false};
  for (int round = 0; round < 50; ++round)
    pool.parallel_for(64, [&](int64_t, int slot) {
      if (slot < 0 || slot >= kThreads) {
        outside = true;
        return;
      }
      if (users[slot].fetch_add(1) != 0) shared = true;
      std::this_thread::yield();
      users[slot].fetch_sub(1);
    });
  CHECK_FALSE(shared);
  CHECK_FALSE(outside);
}

TEST_CASE("idle threads take over the tiles of a slow one") {
  ThreadPool pool(3);
  std::atomic<int> done{0};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  // Tile 0 ends only when all others have run: those of its own share must be stolen.
  pool.parallel_for(30, [&](int64_t tile, int) {
    if (tile == 0)
      while (done < 29 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    ++done;
  });
  CHECK(done == 30);
  CHECK(std::chrono::steady_clock::now() < deadline);
}

TEST_CASE("many threads share a pool, and a tile may start a loop of its own") {
  ThreadPool pool(3);
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> users;
  for (int user = 0; user < 4; ++user)
    users.emplace_back([&] {
      for (int round = 0; round < 100; ++round)
        pool.parallel_for(7, [&](int64_t outer, int) {
          pool.parallel_for(5, [&](int64_t inner, int) { sum += outer * 5 + inner; });
        });
    });
  for (std::thread& t : users) t.join();
  CHECK(sum == int64_t{4} * 100 * (34 * 35 / 2));
}

TEST_CASE("a pool that slept wakes up, and one that never worked ends") {
  { ThreadPool unused(3); }
  ThreadPool pool(3);
  std::atomic<int> runs{0};
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // longer than workers stay awake
    pool.parallel_for(10, [&](int64_t, int) { ++runs; });
  }
  CHECK(runs == 30);
}
