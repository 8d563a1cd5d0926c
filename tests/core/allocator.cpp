#include "core/allocator.h"

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "core/device.h"
#include "core/error.h"
#include "tests/support/devices.h"

using namespace graft;

TEST_CASE("a freed block serves the next request of a like size") {
  const auto device = test::reference_device();
  Allocator& a = device->allocator();
  void* first = a.allocate(100'000);
  a.release(first, 100'000);
  CHECK(a.allocate(100'100) == first);
  CHECK(a.statistics().device_allocations == 1);
  CHECK(a.statistics().allocations == 2);
  a.release(first, 100'100);
  CHECK(a.statistics().in_use == 0);
  CHECK(a.statistics().reserved >= 100'100);
  a.trim();
  CHECK(a.statistics().reserved == 0);
}

TEST_CASE("sizes are rounded up by at most an eighth") {
  CHECK(Allocator::rounded(1) == 512);
  for (int64_t bytes = 4096; bytes < 40'000'000; bytes = bytes * 5 / 3 + 1) {
    CHECK(Allocator::rounded(bytes) >= bytes);
    CHECK(Allocator::rounded(bytes) <= bytes + bytes / 8);
    CHECK(Allocator::rounded(bytes) % kArenaAlignment == 0);
  }
}

TEST_CASE("the peak is the most that was ever in use") {
  const auto device = test::reference_device();
  Allocator& a = device->allocator();
  void* one = a.allocate(1 << 20);
  void* two = a.allocate(1 << 20);
  a.release(one, 1 << 20);
  CHECK(a.statistics().peak == 2 << 20);
  a.reset_peak();
  CHECK(a.statistics().peak == 1 << 20);
  a.release(two, 1 << 20);
}

TEST_CASE("nothing is allocated for no bytes, and too much is an error") {
  const auto device = test::reference_device();
  CHECK(device->allocator().allocate(0) == nullptr);
  CHECK_THROWS_AS(device->allocator().allocate(int64_t{1} << 50), Error);
}

TEST_CASE("threads may allocate at the same time") {
  const auto device = test::reference_device();
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      for (int i = 1; i < 500; ++i) {
        const int64_t bytes = 64 * i;
        auto* memory = static_cast<char*>(device->allocator().allocate(bytes));
        memory[0] = memory[bytes - 1] = 1;
        device->allocator().release(memory, bytes);
      }
    });
  for (auto& t : threads) t.join();
  CHECK(device->allocator().statistics().in_use == 0);
}
