#include "core/allocator.h"

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "core/device.h"
#include "core/error.h"
#include "core/tensor.h"
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

namespace {

// The reference device with room for that many bytes.
std::shared_ptr<Device> device_with(int64_t room) {
  struct Limited {
    Backend inner;
    int64_t room;
    static Limited& of(void* self) { return *static_cast<Limited*>(self); }
  };
  Backend b = test::reference_device()->backend();
  b.self = new Limited{b, room};
  b.destroy = [](void* self) { delete &Limited::of(self); };
  b.device.allocate = [](void* self, int64_t bytes, void** memory) {
    Limited& l = Limited::of(self);
    if (bytes > l.room) return Status::out_of_memory;
    l.room -= bytes;
    return l.inner.device.allocate(l.inner.self, bytes, memory);
  };
  b.device.release = [](void* self, void* memory, int64_t bytes) {
    Limited& l = Limited::of(self);
    l.room += bytes;
    l.inner.device.release(l.inner.self, memory, bytes);
  };
  b.device.last_error = [](void*) { return "12 MiB of 80 are free"; };
  return Device::create(b);
}

}  // namespace

TEST_CASE(
    "memory that is lacking: the error names the tensor, what is held and what would help, and the device goes on") {
  const auto device = device_with(10 << 20);
  Allocator& a = device->allocator();
  void* weights = nullptr;
  {
    const MemoryScope scope("parameters", "layer4.0.conv1.weight");
    weights = a.allocate(2 << 20);
  }
  void* arena = nullptr;
  {
    const MemoryScope scope("arena of a step");
    arena = a.allocate(7 << 20);
    const MemoryScope inner("packed weights", "of conv1 to layer4");
    CHECK_THROWS_WITH(
        a.allocate(3 << 20),
        Catch::StartsWith(
            "out of memory on reference: 3.1 MB for the packed weights of conv1 to layer4 (12 MiB of 80 are "
            "free); held: 7.3 MB arena of a step, 2.1 MB parameters. ") &&
            Catch::Contains("--batch") && Catch::Contains("--precision bf16") && Catch::Contains("--device"));
  }
  const auto held = a.held();
  REQUIRE(held.size() == 2);
  CHECK(std::string(held[0].kind) == "arena of a step");
  CHECK(held[0].bytes == 7 << 20);
  CHECK(held[1].blocks == 1);
  a.release(arena, 7 << 20);
  void* later = a.allocate(3 << 20);  // the cache makes room
  REQUIRE(later != nullptr);
  CHECK(std::string(a.held()[0].kind) == "tensors");
  a.release(later, 3 << 20);
  a.release(weights, 2 << 20);
  CHECK(a.held().empty());
}

TEST_CASE("a tensor that finds no memory leaves a device on which the next one is computed") {
  const auto device = device_with(1 << 20);
  const LayerScope scope("layer4.0.conv1");
  CHECK_THROWS_WITH(full(device, {1 << 20}, 1),
                    Catch::StartsWith("layer4.0.conv1: out of memory on reference: 4.2 MB"));
  CHECK(full(device, {3}, 2).to_vector<float>() == std::vector<float>{2, 2, 2});
}

TEST_CASE("a device that fails where it is asked for memory is not called short of it") {
  Backend b = test::reference_device()->backend();
  b.device.allocate = [](void*, int64_t, void**) { return Status::device_error; };
  b.device.last_error = [](void*) { return "the device is lost"; };
  const auto device = Device::create(b);
  CHECK_THROWS_AS(device->allocator().allocate(100), DeviceError);
  CHECK_THROWS_WITH(device->allocator().allocate(100), Catch::Contains("device error") &&
                                                           Catch::Contains("(the device is lost)") &&
                                                           !Catch::Contains("held"));
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
